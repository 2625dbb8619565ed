import type { Chunk } from './kmeans-fix.ts';

/** The code of one fixed-point element: how many midpoints of ascending `centroids` lie below it. */
export function codeOf(
  x: number,
  centroids: ArrayLike<number>,
  first = 0,
  clusters = centroids.length,
): number {
  let code = 0;
  for (let j = 0; j + 1 < clusters; j++) {
    const threshold = Math.floor((centroids[first + j] + centroids[first + j + 1]) / 2);
    if (x > threshold) code += 1;
  }
  return code;
}

/**
 * CPU twin of shaders/kmeans-assign.wgsl: one code an element (the kernel packs four a word).
 *
 * @example
 * kmeansAssign(Uint32Array.of(10, 15, 16), Uint32Array.of(10, 20), 2, [[0, 0, 3]]); // [0, 0, 1]
 */
export function kmeansAssign(
  fixed: Uint32Array,
  centroids: Uint32Array,
  clusters: number,
  chunks: readonly Chunk[],
): Uint8Array {
  const codes = new Uint8Array(Math.ceil(fixed.length / 4) * 4);
  for (const [segment, first, end] of chunks) {
    for (let at = first; at < end; at++)
      codes[at] = codeOf(fixed[at], centroids, segment * clusters, clusters);
  }
  return codes;
}
