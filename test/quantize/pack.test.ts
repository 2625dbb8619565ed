import { describe, expect, test } from 'vitest';
import { pack, unpack } from '../../src/quantize/pack.ts';
import { seeded } from '../support/runtime.ts';

describe('pack', () => {
  test('lays codes out from the lowest bit, straddling words', () => {
    expect([...pack(new Uint8Array([1, 2, 3]), 4)]).toEqual([0x321]);
    expect([...pack(new Int8Array([1, -1, 3]), 3)]).toEqual([0b011_111_001]);
    const eleven = new Uint8Array(11).fill(0);
    eleven[10] = 0b101;
    expect([...pack(eleven, 3)]).toEqual([0x4000_0000, 1]);
    expect(pack(new Int8Array(0), 5)).toHaveLength(0);
  });

  test('unpack undoes it at every width, signed and not', () => {
    for (const bits of [1, 2, 3, 4, 5, 6, 7, 8]) {
      for (const count of [1, 31, 32, 33, 1000]) {
        const signed = seeded(count).int8s(count, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
        const plain = Uint8Array.from(signed, (code) => code & (2 ** bits - 1));
        const packed = pack(signed, bits);
        expect(packed).toHaveLength(Math.ceil((count * bits) / 32));
        expect(pack(plain, bits)).toEqual(packed);
        expect(unpack(packed, bits, count)).toEqual(signed);
        expect(unpack(packed, bits, count, false)).toEqual(plain);
      }
    }
  });

  test('refuses codes and widths that do not fit', () => {
    expect(() => pack(new Int8Array([0, 4]), 3)).toThrow(/from -4 to 3; received "4 at index 1"/);
    expect(() => pack(new Uint8Array([8]), 3)).toThrow(/from 0 to 7/);
    expect(() => pack(new Uint8Array([0]), 9)).toThrow(/bits must be an integer from 1 to 8; received 9/);
    expect(() => unpack(new Uint32Array(1), 0, 1)).toThrow(/bits must be/);
    expect(() => unpack(new Uint32Array(1), 3, 11)).toThrow(/11 codes of 3 bits take 2 words; received 1/);
    expect(() => unpack(new Uint32Array(1), 3, -1)).toThrow(/count must be/);
  });
});
