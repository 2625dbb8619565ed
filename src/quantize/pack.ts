import { check } from '../gpu/errors.ts';
import { packCodes } from '../reference/pack-codes.ts';
import { unpackCodes } from '../reference/unpack-codes.ts';

/**
 * Packs codes densely into 32-bit words: code i takes bits `i * bits` up of the stream, lowest bit first, and straddles
 * two words where `bits` does not divide 32. At 8, 4, 2 and 1 bits this is the kernels' own layout.
 *
 * @param codes one an element, signed (two's complement) or not
 * @param bits width of a code, 1 to 8
 * @returns ceil(codes.length * bits / 32) words
 * @throws LloydError for a width out of range, or a code that it cannot hold (with its index).
 * @example
 * pack(new Int8Array([1, -1, 3]), 3); // [0b011_111_001]
 */
export function pack(codes: Int8Array | Uint8Array, bits: number): Uint32Array {
  checkBits(bits);
  const [low, high] =
    codes instanceof Int8Array ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] < low || codes[i] > high) {
      check(
        false,
        `codes of ${bits} bits must be from ${low} to ${high}`,
        `${codes[i]} at index ${i}`,
        'pass more bits',
      );
    }
  }
  return packCodes(codes, bits);
}

/**
 * The inverse of {@link pack}.
 *
 * @param packed words; more than needed are allowed
 * @param bits width of a code, 1 to 8
 * @param count number of codes
 * @param signed whether codes are two's complement
 * @returns an Int8Array if signed, else a Uint8Array
 * @throws LloydError for a width out of range, or too few words.
 * @example
 * unpack(new Uint32Array([0b011_111_001]), 3, 3, true); // [1, -1, 3]
 */
export function unpack(
  packed: Uint32Array,
  bits: number,
  count: number,
  signed = true,
): Int8Array | Uint8Array {
  checkBits(bits);
  check(Number.isInteger(count) && count >= 0, 'count must be an integer of 0 or more', count);
  const needed = Math.ceil((count * bits) / 32);
  check(packed.length >= needed, `${count} codes of ${bits} bits take ${needed} words`, packed.length);
  return unpackCodes(packed, bits, count, signed);
}

function checkBits(bits: number): void {
  check(Number.isInteger(bits) && bits >= 1 && bits <= 8, 'bits must be an integer from 1 to 8', bits);
}
