import { describe, expect, test } from 'vitest';
import { batchNormGradientKernel } from '../../src/kernels/batch-norm-gradient.ts';
import { batchNorm } from '../../src/reference/batch-norm.ts';
import { batchNormGradient } from '../../src/reference/batch-norm-gradient.ts';
import { batchNormGradientSums } from '../../src/reference/batch-norm-gradient-sums.ts';
import { batchNormMerge } from '../../src/reference/batch-norm-merge.ts';
import { batchNormStatistics } from '../../src/reference/batch-norm-statistics.ts';
import { dispatch } from '../support/dispatch.ts';
import { centralDifferences, dot, relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const statisticsOf = (x: ArrayLike<number>, channels: number) =>
  batchNormMerge([batchNormStatistics(x, channels)], [x.length / channels], new Float64Array(channels * 2), {
    epsilon: 1e-5,
    momentum: 0.1,
  }).statistics;

describe('batch-norm-gradient', () => {
  for (const frozen of [0, 1]) {
    for (const [pixelCount, vectors] of [
      [2, 1],
      [65, 3],
      [300, 5],
    ]) {
      test(`${pixelCount} pixels of ${vectors} vectors${frozen ? ', frozen' : ''}`, async () => {
        const random = seeded(pixelCount);
        const count = pixelCount * vectors * 4;
        const [input, gradient] = [random.floats(count), random.floats(count)];
        const statistics = Float32Array.from(statisticsOf(input, vectors * 4));
        const affine = random.floats(vectors * 8);
        const sums = batchNormGradientSums(input, gradient, statistics, affine, [0, 1e30]);
        const { output } = await dispatch(
          gpu.runtime,
          batchNormGradientKernel,
          { input, gradient, statistics, affine, sums: Float32Array.from(sums) },
          { output: count * 4 },
          { pixelCount, vectors, low: 0, high: 1e30, frozen },
        );
        const want = batchNormGradient(input, gradient, statistics, affine, [0, 1e30], frozen === 1);
        // Two pixels make a gradient of differences that cancel to nothing: held against the gradient's own size.
        const floor = pixelCount === 2 && !frozen ? 1 : 0;
        const error = relativeL2(new Float32Array(output), want);
        if (!floor) expect(error).toBeLessThan(1e-4);
        else
          for (const [i, v] of new Float32Array(output).entries())
            expect(Math.abs(v - want[i])).toBeLessThan(1e-3);
      });
    }
  }

  test('the twin is within 1e-7 of central differences, statistics included', () => {
    const random = seeded(4);
    const [x, dy, affine] = [random.floats(160), random.floats(160), random.floats(8)];
    for (const limits of [
      [-1e30, 1e30],
      [0, 1e30],
    ] as const) {
      const loss = (at: Float64Array) => dot(batchNorm(at, statisticsOf(at, 4), affine, limits), dy);
      const twin = batchNormGradient(x, dy, statisticsOf(x, 4), affine, limits);
      expect(relativeL2(twin, centralDifferences(loss, x, 1e-5))).toBeLessThan(1e-7);
    }
  });
});
