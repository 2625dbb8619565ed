/**
 * CPU twin of shaders/codebook-decode.wgsl: the value of every code in its group's codebook.
 *
 * @example
 * codebookDecode(Uint8Array.of(1, 0), Float32Array.of(-0.5, 0.5), { clusters: 2, groups: 1, groupStride: 2 }); // [0.5, -0.5]
 */
export function codebookDecode(
  codes: Uint8Array,
  codebook: Float32Array,
  { clusters, groups, groupStride }: { clusters: number; groups: number; groupStride: number },
): Float32Array {
  const output = new Float32Array(codes.length);
  for (let at = 0; at < codes.length; at++) {
    const group = Math.floor(at / groupStride) % groups;
    output[at] = codebook[group * clusters + Math.min(codes[at], clusters - 1)];
  }
  return output;
}
