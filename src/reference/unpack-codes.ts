/**
 * The CPU twin of `shaders/unpack-codes.wgsl`: `count` codes of `bits` bits from a stream that starts at the lowest bit.
 *
 * @returns an Int8Array with signs extended, or a Uint8Array
 * @example
 * unpackCodes(new Uint32Array([0xf21]), 4, 3, true); // [1, 2, -1]
 */
export function unpackCodes(
  words: Uint32Array,
  bits: number,
  count: number,
  signed: boolean,
): Int8Array | Uint8Array {
  const codes = signed ? new Int8Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const at = i * bits;
    const word = Math.floor(at / 32);
    const shift = at % 32;
    let stream = words[word] >>> shift;
    if (shift + bits > 32) stream |= words[word + 1] << (32 - shift);
    const atTop = stream << (32 - bits);
    codes[i] = signed ? atTop >> (32 - bits) : atTop >>> (32 - bits);
  }
  return codes;
}
