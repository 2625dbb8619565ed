import { describe, expect, test } from 'vitest';
import { batchNormStatisticsKernel } from '../../src/kernels/batch-norm-statistics.ts';
import { batchNormStatistics } from '../../src/reference/batch-norm-statistics.ts';
import { dispatch } from '../support/dispatch.ts';
import { relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('batch-norm-statistics', () => {
  for (const [pixelCount, vectors, chunk] of [
    [1, 1, 1],
    [65, 3, 16],
    [300, 2, 300],
    [128, 17, 50],
  ]) {
    test(`${pixelCount} pixels of ${vectors} vectors by ${chunk}, also far from zero`, async () => {
      const random = seeded(pixelCount);
      const channels = vectors * 4;
      const input = random.floats(pixelCount * channels).map((x, i) => x + (i % channels) * 20);
      const splits = Math.ceil(pixelCount / chunk);
      const { partial } = await dispatch(
        gpu.runtime,
        batchNormStatisticsKernel,
        { input },
        { partial: splits * channels * 8 },
        { pixelCount, vectors, chunk },
      );
      for (let s = 0; s < splits; s++) {
        const part = input.subarray(s * chunk * channels, (s + 1) * chunk * channels);
        const want = batchNormStatistics(part, channels);
        const got = new Float32Array(partial, s * channels * 8, channels * 2);
        expect(relativeL2(got.subarray(0, channels), want.subarray(0, channels))).toBeLessThan(1e-6);
        expect(relativeL2(got.subarray(channels), want.subarray(channels))).toBeLessThan(1e-4);
      }
    });
  }
});
