import { codeOf } from './kmeans-assign.ts';
import type { Chunk } from './kmeans-fix.ts';

/**
 * CPU twin of shaders/kmeans-accumulate.wgsl: adds each element to its centroid's count and 64-bit sum in `totals`.
 *
 * @example
 * const totals = new Uint32Array(2 * 3); // [count, low, high] of two clusters
 * kmeansAccumulate(Uint32Array.of(10, 15, 16), Uint32Array.of(10, 20), 2, [0], [[0, 0, 3]], totals); // [2, 25, 0, 1, 16, 0]
 */
export function kmeansAccumulate(
  fixed: Uint32Array,
  centroids: Uint32Array,
  clusters: number,
  done: ArrayLike<number>,
  chunks: readonly Chunk[],
  totals: Uint32Array,
): Uint32Array {
  for (const [segment, first, end] of chunks) {
    if (done[segment] !== 0) continue;
    for (let at = first; at < end; at++) {
      const x = fixed[at];
      const cell = (segment * clusters + codeOf(x, centroids, segment * clusters, clusters)) * 3;
      totals[cell] += 1;
      const low = totals[cell + 1] + x;
      totals[cell + 1] = low;
      totals[cell + 2] += low >= 2 ** 32 ? 1 : 0;
    }
  }
  return totals;
}
