import { limbOfKey } from './float-keys.ts';
import { codeOf } from './kmeans-assign.ts';
import type { Chunk, Scale } from './kmeans-keys.ts';

/**
 * CPU twin of shaders/kmeans-accumulate.wgsl: adds each element to its centroid's count and 64-bit sum in `totals`.
 *
 * @param totals three words (count, low, high) a segment, cluster and plane
 * @param planes planes of `totals`; `plane` of them is added up
 * @example
 * const totals = new Uint32Array(2 * 3); // [count, low, high] of two clusters
 * kmeansAccumulate(keys, thresholds, 2, [[127, 1, 127]], [0], [[0, 0, 3]], totals, 1, 0);
 */
export function kmeansAccumulate(
  keys: Uint32Array,
  thresholds: Uint32Array,
  clusters: number,
  scales: readonly Scale[],
  done: ArrayLike<number>,
  chunks: readonly Chunk[],
  totals: Uint32Array,
  planes: number,
  plane: number,
): Uint32Array {
  for (const [segment, first, end] of chunks) {
    const [unit, own] = scales[segment];
    if (done[segment] !== 0 || plane >= own) continue;
    for (let at = first; at < end; at++) {
      const code = codeOf(keys[at], thresholds, segment * clusters, clusters);
      const cell = ((segment * clusters + code) * planes + plane) * 3;
      totals[cell] += 1;
      const low = totals[cell + 1] + limbOfKey(keys[at], unit + 24 * plane);
      totals[cell + 1] = low;
      totals[cell + 2] += low >= 2 ** 32 ? 1 : 0;
    }
  }
  return totals;
}
