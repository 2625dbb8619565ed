import { describe, expect, test } from 'vitest';
import { packCodesKernel } from '../../src/kernels/pack-codes.ts';
import { packCodes } from '../../src/reference/pack-codes.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function mismatch(codes: Int8Array | Uint8Array, bits: number, twin = packCodes, workgroupSize = 32) {
  const { output } = await dispatch(
    gpu.runtime,
    packCodesKernel,
    { input: codes },
    { output: Math.ceil((codes.length * bits) / 32) * 4 },
    { count: codes.length },
    { BITS: bits, WORKGROUP_SIZE: workgroupSize },
  );
  return firstDifference(new Uint32Array(output), twin(codes, bits));
}

describe('pack-codes', () => {
  for (const bits of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`width(bits=${bits})`, async () => {
      for (const count of [1, 3, 4, 5, 31, 32, 33, 127, 128, 129, 1000, 1001, 1025]) {
        const codes = seeded(count).int8s(count, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
        expect(await mismatch(codes, bits), `signed, count=${count}`).toBe(-1);
        const plain = Uint8Array.from(codes, (code) => code & (2 ** bits - 1));
        expect(await mismatch(plain, bits), `count=${count}`).toBe(-1);
      }
    });
  }

  test('more than 65,535 workgroups are folded into y', async () => {
    const codes = new Uint8Array(65_537 * 32 * 4 + 1).map((_, i) => i * 29);
    expect(await mismatch(codes, 8)).toBe(-1);
  });

  test('known-wrong layouts are told apart', async () => {
    const codes = seeded(1).int8s(101, -4, 3);
    const wrongs: Record<string, typeof packCodes> = {
      'highest bit first': (c, bits) => packCodes(Array.from(c).reverse(), bits),
      'no straddling': (c, bits) => {
        const words = new Uint32Array(Math.ceil((c.length * bits) / 32));
        for (let i = 0; i < c.length; i++)
          words[Math.floor((i * bits) / 32)] |= (c[i] & 7) << ((i * bits) % 32);
        return words;
      },
      'tail off by one': (c, bits) => packCodes(Array.from(c).slice(0, -1).concat(0), bits),
    };
    codes[100] = 3;
    for (const [name, twin] of Object.entries(wrongs))
      expect(await mismatch(codes, 3, twin), name).not.toBe(-1);
  });
});
