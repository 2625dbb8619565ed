/**
 * The CPU twin of `shaders/pack-codes.wgsl`: the low `bits` bits of each code, lowest bit first, into 32-bit words.
 *
 * @returns ceil(codes.length * bits / 32) words; bits past the last code are 0
 * @example
 * packCodes(new Uint8Array([1, 2, 3]), 4); // [0x321]
 */
export function packCodes(codes: ArrayLike<number>, bits: number): Uint32Array {
  const words = new Uint32Array(Math.ceil((codes.length * bits) / 32));
  const mask = 2 ** bits - 1;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] & mask;
    const at = i * bits;
    const word = Math.floor(at / 32);
    const shift = at % 32;
    words[word] |= code << shift;
    if (shift + bits > 32) words[word + 1] |= code >>> (32 - shift);
  }
  return words;
}
