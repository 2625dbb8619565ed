import { describe, expect, test } from 'vitest';
import { resizeChannelsKernel } from '../../src/kernels/resize-channels.ts';
import { resizeChannels } from '../../src/reference/resize-channels.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('resize-channels', () => {
  test.each([
    [1, 1, 4],
    [65, 3, 4],
    [64, 4, 4],
    [33, 12, 10],
    [70_000, 2, 1],
  ])('%i rows from %i to %i channels', async (rows, inputChannels, outputChannels) => {
    const input = seeded(rows).floats(rows * inputChannels);
    const want = resizeChannels(input, inputChannels, outputChannels);
    const { output } = await dispatch(
      gpu.runtime,
      resizeChannelsKernel,
      { input },
      { output: want.byteLength },
      { rows, inputChannels, outputChannels },
    );
    expect(firstDifference(new Float32Array(output), want)).toBe(-1);
    const shifted = resizeChannels(
      input.map((v) => v + 1),
      inputChannels,
      outputChannels,
    );
    expect(firstDifference(new Float32Array(output), shifted)).not.toBe(-1);
  });
});
