import { describe, expect, test } from 'vitest';
import { unpackCodesKernel } from '../../src/kernels/unpack-codes.ts';
import { packCodes } from '../../src/reference/pack-codes.ts';
import { unpackCodes } from '../../src/reference/unpack-codes.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function unpackOnGpu(
  words: Uint32Array,
  bits: number,
  count: number,
  signed: boolean,
  workgroupSize = 32,
) {
  const { output } = await dispatch(
    gpu.runtime,
    unpackCodesKernel,
    { input: words },
    { output: Math.ceil(count / 4) * 4 },
    { count },
    { BITS: bits, SIGNED: signed ? 1 : 0, WORKGROUP_SIZE: workgroupSize },
  );
  // The bytes past the last code belong to the output word, and are 0.
  expect(new Uint8Array(output).subarray(count).every((byte) => byte === 0)).toBe(true);
  return signed ? new Int8Array(output, 0, count) : new Uint8Array(output, 0, count);
}

describe('unpack-codes', () => {
  for (const bits of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`width(bits=${bits})`, async () => {
      for (const count of [1, 3, 4, 5, 31, 32, 33, 127, 128, 129, 1000, 1001, 1025]) {
        const random = seeded(count);
        // Every bit set or not, those past the last code too.
        const words = Uint32Array.from(
          { length: Math.ceil((count * bits) / 32) },
          () => random.next() * 2 ** 32,
        );
        for (const signed of [true, false]) {
          const expected = unpackCodes(words, bits, count, signed);
          const actual = await unpackOnGpu(words, bits, count, signed);
          expect(firstDifference(actual, expected), `signed=${signed}, count=${count}`).toBe(-1);
        }
      }
    });
  }

  test('undoes pack-codes', () => {
    for (const bits of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const codes = seeded(bits).int8s(777, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
      expect(unpackCodes(packCodes(codes, bits), bits, 777, true)).toEqual(codes);
    }
  });

  test('more than 65,535 workgroups are folded into y', async () => {
    const count = 65_537 * 32 * 4 + 1;
    const words = Uint32Array.from({ length: Math.ceil(count / 16) }, (_, i) => Math.imul(i, 0x9e3779b9));
    const actual = await unpackOnGpu(words, 2, count, true);
    expect(firstDifference(actual, unpackCodes(words, 2, count, true))).toBe(-1);
  });

  test('known-wrong layouts are told apart', async () => {
    const words = Uint32Array.from({ length: 12 }, (_, i) => Math.imul(i + 1, 0x9e3779b9));
    const actual = await unpackOnGpu(words, 3, 101, true);
    expect(firstDifference(actual, unpackCodes(words, 3, 101, true))).toBe(-1);
    const unextended = Int8Array.from(unpackCodes(words, 3, 101, false));
    const unstraddled = Int8Array.from({ length: 101 }, (_, i) => {
      const bits = words[Math.floor((i * 3) / 32)] >>> ((i * 3) % 32);
      return (bits << 29) >> 29;
    });
    for (const wrong of [unextended, unstraddled]) expect(firstDifference(actual, wrong)).not.toBe(-1);
  });
});
