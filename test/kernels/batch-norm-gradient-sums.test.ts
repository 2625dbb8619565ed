import { describe, expect, test } from 'vitest';
import { batchNormGradientSumsKernel } from '../../src/kernels/batch-norm-gradient-sums.ts';
import { batchNorm } from '../../src/reference/batch-norm.ts';
import { batchNormGradientSums } from '../../src/reference/batch-norm-gradient-sums.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from '../support/dispatch.ts';
import { centralDifferences, dot, relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('batch-norm-gradient-sums', () => {
  for (const [pixelCount, vectors, chunk, low] of [
    [1, 1, 1, -1e30],
    [65, 3, 16, 0],
    [300, 2, 41, 0],
  ]) {
    test(`${pixelCount} pixels of ${vectors} vectors by ${chunk}`, async () => {
      const random = seeded(pixelCount);
      const [input, gradient] = [
        random.floats(pixelCount * vectors * 4),
        random.floats(pixelCount * vectors * 4),
      ];
      const [statistics, affine] = [random.floats(vectors * 8), random.floats(vectors * 8)];
      const splits = Math.ceil(pixelCount / chunk);
      const { partial } = await dispatch(
        gpu.runtime,
        batchNormGradientSumsKernel,
        { input, gradient, statistics, affine },
        { partial: splits * vectors * 32 },
        { pixelCount, vectors, chunk, low, high: 1e30 },
      );
      const want = batchNormGradientSums(input, gradient, statistics, affine, [low, 1e30]);
      expect(relativeL2(sumSplits(new Float32Array(partial), splits), want)).toBeLessThan(1e-4);
    });
  }

  test('the twin is within 1e-7 of central differences', () => {
    const random = seeded(3);
    const [x, dy] = [random.floats(120), random.floats(120)];
    const [statistics, affine] = [random.floats(8), random.floats(8)];
    const limits = [-0.5, 6] as const;
    const loss = (at: Float64Array) => dot(batchNorm(x, statistics, at, limits), dy);
    const twin = batchNormGradientSums(x, dy, statistics, affine, limits);
    expect(relativeL2(twin, centralDifferences(loss, affine, 1e-6))).toBeLessThan(1e-7);
  });
});
