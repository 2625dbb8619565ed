import { describe, expect, test } from 'vitest';
import { codebookGatherKernel } from '../../src/kernels/codebook-gather.ts';
import { codebookGather } from '../../src/reference/codebook-gather.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('codebook-gather', () => {
  test.each([
    [1, 1],
    [65, 4],
    [5000, 2048],
  ])('%i entries of %i values, bit for bit', async (count, values) => {
    const random = seeded(count);
    const codebook = random.floats(values);
    codebook[0] = -0;
    // One past the end takes the last value.
    const entries = Uint32Array.from({ length: count }, () => random.integer(0, values));
    const { output } = await dispatch(
      gpu.runtime,
      codebookGatherKernel,
      { entries, codebook },
      { output: count * 4 },
      { count },
    );
    const want = codebookGather(entries, codebook);
    expect(firstDifference(new Float32Array(output), want)).toBe(-1);
    if (values > 1) expect(firstDifference(new Float32Array(output), want.toReversed())).not.toBe(-1);
  });
});
