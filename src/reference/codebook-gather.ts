/**
 * The CPU twin of `shaders/codebook-gather.wgsl`: entries looked up in codebooks laid end to end.
 *
 * @example
 * codebookGather([0, 3], [1, 2, 10, 20]); // 1 20: the first entry of one codebook, the second of the next
 */
export function codebookGather(entries: ArrayLike<number>, codebook: ArrayLike<number>): Float32Array {
  return Float32Array.from(entries, (entry) => codebook[Math.min(entry, codebook.length - 1)]);
}
