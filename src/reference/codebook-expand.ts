/** codebook[code] for codes of `bits` bits (1, 2, 4, 8) packed in u32, first code lowest. */
export function codebookExpand(
  words: Uint32Array,
  codebook: Float32Array,
  bits: number,
  count: number,
): Float32Array {
  const perWord = 32 / bits;
  const mask = 2 ** bits - 1;
  return Float32Array.from({ length: count }, (_, i) => {
    const word = words[Math.floor(i / perWord)];
    return codebook[(word >>> ((i % perWord) * bits)) & mask];
  });
}
