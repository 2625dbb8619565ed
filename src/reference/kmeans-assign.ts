import type { Chunk } from './kmeans-keys.ts';

/** The code of one element: how many of its segment's ascending thresholds lie below it. */
export function codeOf(
  x: number,
  thresholds: ArrayLike<number>,
  first = 0,
  clusters = thresholds.length,
): number {
  let code = 0;
  for (let j = 0; j + 1 < clusters; j++) if (x > thresholds[first + j]) code += 1;
  return code;
}

/**
 * CPU twin of shaders/kmeans-assign.wgsl: one code an element (the kernel packs four a word).
 *
 * @example
 * kmeansAssign(Uint32Array.of(10, 15, 16), Uint32Array.of(15, 2 ** 32 - 1), 2, [[0, 0, 3]]); // [0, 0, 1]
 */
export function kmeansAssign(
  keys: Uint32Array,
  thresholds: Uint32Array,
  clusters: number,
  chunks: readonly Chunk[],
): Uint8Array {
  const codes = new Uint8Array(Math.ceil(keys.length / 4) * 4);
  for (const [segment, first, end] of chunks) {
    for (let at = first; at < end; at++)
      codes[at] = codeOf(keys[at], thresholds, segment * clusters, clusters);
  }
  return codes;
}
