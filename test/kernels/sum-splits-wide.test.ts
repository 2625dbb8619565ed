import { describe, expect, test } from 'vitest';
import { sumSplitsWideKernel } from '../../src/kernels/sum-splits-wide.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from '../support/dispatch.ts';
import { relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('sum-splits-wide', () => {
  for (const [count, splits] of [
    [1, 1],
    [1, 300],
    [4, 63],
    [63, 65],
    [130, 1000],
  ]) {
    test(`adds ${splits} splits of ${count}, the same bits twice`, async () => {
      const partial = seeded(count).floats(count * splits);
      const run = () =>
        dispatch(gpu.runtime, sumSplitsWideKernel, { partial }, { output: count * 4 }, { count, splits });
      const [first, second] = [await run(), await run()];
      expect(new Uint32Array(first.output)).toEqual(new Uint32Array(second.output));
      expect(relativeL2(new Float32Array(first.output), sumSplits(partial, splits))).toBeLessThan(1e-6);
    });
  }

  test('the comparison sees one part of a thousand left out', async () => {
    const [count, splits] = [5, 1000];
    const partial = seeded(9).floats(count * splits);
    const { output } = await dispatch(
      gpu.runtime,
      sumSplitsWideKernel,
      { partial },
      { output: count * 4 },
      { count, splits: splits - 1 },
    );
    expect(relativeL2(new Float32Array(output), sumSplits(partial, splits))).toBeGreaterThan(1e-6);
  });
});
