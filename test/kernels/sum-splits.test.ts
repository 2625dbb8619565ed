import { describe, expect, test } from 'vitest';
import { sumSplitsKernel } from '../../src/kernels/sum-splits.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from '../support/dispatch.ts';
import { relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('sum-splits', () => {
  for (const [count, splits] of [
    [1, 1],
    [1, 300],
    [63, 7],
    [65, 2],
    [5000, 33],
  ]) {
    test(`adds ${splits} splits of ${count}, the same bits twice`, async () => {
      // The buffer is longer, as one that is shared is.
      const longer = seeded(count).floats(count * (splits + 1));
      const partial = longer.subarray(0, count * splits);
      const run = () =>
        dispatch(gpu.runtime, sumSplitsKernel, { partial: longer }, { output: count * 4 }, { count, splits });
      const [first, second] = [await run(), await run()];
      expect(new Uint32Array(first.output)).toEqual(new Uint32Array(second.output));
      expect(relativeL2(new Float32Array(first.output), sumSplits(partial, splits))).toBeLessThan(1e-4);
    });
  }
});
