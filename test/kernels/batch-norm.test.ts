import { describe, expect, test } from 'vitest';
import { batchNormKernel } from '../../src/kernels/batch-norm.ts';
import { batchNorm } from '../../src/reference/batch-norm.ts';
import { dispatch } from '../support/dispatch.ts';
import { relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('batch-norm', () => {
  for (const [pixelCount, vectors, low, high] of [
    [1, 1, -1e30, 1e30],
    [65, 3, 0, 1e30],
    [200, 5, 0, 6],
  ]) {
    test(`${pixelCount} pixels of ${vectors} vectors, clamped to ${low}..${high}`, async () => {
      const random = seeded(pixelCount);
      const input = random.floats(pixelCount * vectors * 4, 4);
      const statistics = random.floats(vectors * 8);
      const affine = random.floats(vectors * 8, 3);
      const { output } = await dispatch(
        gpu.runtime,
        batchNormKernel,
        { input, statistics, affine },
        { output: input.byteLength },
        { pixelCount, vectors, low, high },
      );
      const want = batchNorm(input, statistics, affine, [low, high]);
      expect(relativeL2(new Float32Array(output), want)).toBeLessThan(1e-5);
    });
  }
});
