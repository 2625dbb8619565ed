import { describe, expect, test } from 'vitest';
import { resizeChannelsInt8Kernel } from '../../src/kernels/resize-channels-int8.ts';
import { resizeChannelsInt8 } from '../../src/reference/resize-channels-int8.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('resize-channels-int8', () => {
  test.each([
    [1, 1, 4],
    [1, 4, 1],
    [65, 3, 4],
    [64, 4, 4],
    [33, 12, 10],
    [31, 5, 8],
    [31, 8, 5],
    [1_200_000, 3, 4],
    [70_001, 7, 3],
  ])('%i rows from %i to %i channels', async (rows, inputChannels, outputChannels) => {
    const codes = seeded(rows).int8s(rows * inputChannels, -128, 127);
    const want = resizeChannelsInt8(codes, inputChannels, outputChannels);
    const count = rows * outputChannels;
    const { output } = await dispatch(
      gpu.runtime,
      resizeChannelsInt8Kernel,
      { input: codes },
      { output: Math.ceil(count / 4) * 4 },
      { rows, inputChannels, outputChannels },
      { WORKGROUP_SIZE: 8 },
    );
    expect(firstDifference(new Int8Array(output, 0, count), want)).toBe(-1);
    expect(new Uint8Array(output).subarray(count).every((byte) => byte === 0)).toBe(true);
    const swapped = resizeChannelsInt8(codes.toReversed(), inputChannels, outputChannels);
    if (rows > 1) expect(firstDifference(want, swapped)).not.toBe(-1);
  });
});
