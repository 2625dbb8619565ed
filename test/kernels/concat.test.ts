import { describe, expect, test } from 'vitest';
import { concat } from '../../src/kernels/concat.ts';
import { concatReference } from '../../src/reference/concat.ts';
import { firstDifference } from '../support/dispatch.ts';
import { guardedOutput, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const FINITE = 3.4028234663852886e38;
const padded = (channels: number) => Math.ceil(channels / 4) * 4;

/** All parts into one output; its buffer holds garbage before, which no padding may keep. */
async function mismatch(
  pixels: number,
  channels: readonly number[],
  { low = -FINITE, high = FINITE, twin = concatReference, workgroup = 64 } = {},
) {
  const random = seeded(pixels + channels.length);
  const parts = channels.map((count) => ({
    values: random.floats(pixels * padded(count), 4),
    channels: count,
    stride: padded(count),
  }));
  const total = channels.reduce((sum, count) => sum + count, 0);
  const stride = padded(total);
  const kernel = await concat.create(gpu.runtime.device, { WORKGROUP_SIZE: workgroup });
  return gpu.runtime.scope(async ({ upload, keep }) => {
    const output = guardedOutput(gpu.runtime, pixels * stride * 4);
    let start = 0;
    const calls = parts.map(({ values, channels: count, stride: inputStride }) => {
      const width = start + count === total ? stride - start : count;
      const params = { pixels, channels: count, width, start, inputStride, outputStride: stride, low, high };
      start += count;
      return keep(kernel.bind({ input: upload(values), output: output.slice }, params));
    });
    gpu.runtime.submit(calls);
    const received = new Float32Array(await output.read());
    return firstDifference(received, twin(parts, pixels, stride, low, high));
  });
}

describe('concat', () => {
  test('ragged channels, one input and many', async () => {
    for (const channels of [[1], [4], [3, 5], [4, 8], [5, 6, 3], [1, 1, 1, 1, 1], [16, 2, 7, 30]]) {
      for (const pixels of [1, 63, 64, 65]) {
        expect(await mismatch(pixels, channels), `${pixels} pixels of ${channels}`).toBe(-1);
      }
    }
  });

  test('a fused ReLU and ReLU6', async () => {
    expect(await mismatch(50, [5, 6, 3], { low: 0 })).toBe(-1);
    expect(await mismatch(50, [5, 6, 3], { low: 0, high: 6 })).toBe(-1);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await mismatch(65_536 * 4, [9, 2], { workgroup: 32 })).toBe(-1);
  });

  test('known-wrong concatenations are told apart', async () => {
    const wrongs: Record<string, typeof concatReference> = {
      'inputs swapped': (parts, ...rest) => concatReference([parts[1], parts[0]], ...rest),
      'padding kept between the inputs': ([first, ...others], ...rest) =>
        concatReference([{ ...first, channels: first.stride }, ...others], ...rest),
      'a ReLU forgotten': (parts, rows, stride) => concatReference(parts, rows, stride, -FINITE, FINITE),
    };
    for (const [name, twin] of Object.entries(wrongs)) {
      expect(await mismatch(20, [5, 6], { low: 0, twin }), name).not.toBe(-1);
    }
  });
});
