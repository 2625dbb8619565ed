import { expect, test } from 'vitest';
import type { batchNormMergeKernel } from '../../src/kernels/batch-norm-merge.ts';
import { batchNormMerge } from '../../src/reference/batch-norm-merge.ts';
import { batchNormStatistics } from '../../src/reference/batch-norm-statistics.ts';
import { relativeL2, runInPlace } from './gradients.ts';
import { seeded, useRuntime } from './runtime.ts';

/** Splits of (pixels, vectors, chunk) through a kernel that joins them. */
export function testMerge(
  kernel: typeof batchNormMergeKernel,
  cases: readonly (readonly [pixelCount: number, vectors: number, chunk: number])[],
): void {
  const gpu = useRuntime();
  for (const [pixelCount, vectors, chunk] of cases) {
    test(`joins the splits of ${pixelCount} pixels by ${chunk}`, async () => {
      const random = seeded(pixelCount);
      const channels = vectors * 4;
      const input = random.floats(pixelCount * channels).map((x, i) => x + (i % channels));
      const splits: Float64Array[] = [];
      for (let at = 0; at < pixelCount; at += chunk) {
        splits.push(batchNormStatistics(input.subarray(at * channels, (at + chunk) * channels), channels));
      }
      const sizes = splits.map((_, s) => Math.min(chunk, pixelCount - s * chunk));
      const before = random.floats(channels * 2);
      const options = { epsilon: Math.fround(1e-5), momentum: Math.fround(0.1) };
      const got = await runInPlace(
        gpu.runtime,
        kernel,
        {
          partial: Float32Array.from(splits.flatMap((s) => [...s])),
          statistics: new Float32Array(channels * 2),
          running: before,
        },
        { pixelCount, vectors, chunk, ...options },
      );
      const want = batchNormMerge(splits, sizes, before, options);
      expect(relativeL2(got.statistics, want.statistics)).toBeLessThan(1e-6);
      expect(relativeL2(got.running, want.running)).toBeLessThan(1e-6);
      // A part left out is seen.
      if (splits.length > 1) {
        const less = batchNormMerge(splits.slice(1), sizes.slice(1), before, options);
        expect(relativeL2(got.statistics, less.statistics)).toBeGreaterThan(1e-6);
      }
      // However it is split, it is the whole batch's.
      const whole = batchNormMerge([batchNormStatistics(input, channels)], [pixelCount], before, options);
      expect(relativeL2(want.statistics, whole.statistics)).toBeLessThan(1e-12);
    });
  }
}
