import type { Chunk } from './kmeans-fix.ts';

/**
 * CPU twin of shaders/histogram.wgsl: count and 64-bit sum of (x - edge) for every bin.
 *
 * @example
 * histogram(Uint32Array.of(1, 5, 6), [[0, 0, 3]], [[0, 2]], Uint32Array.of(1, 5), new Uint32Array(6)); // [1, 0, 0, 2, 1, 0]
 */
export function histogram(
  fixed: Uint32Array,
  chunks: readonly Chunk[],
  spans: readonly (readonly [first: number, count: number])[],
  edges: Uint32Array,
  bins: Uint32Array,
): Uint32Array {
  for (const [segment, begin, end] of chunks) {
    const [first, count] = spans[segment];
    if (count === 0) continue;
    for (let at = begin; at < end; at++) {
      let bin = first;
      while (bin + 1 < first + count && edges[bin + 1] <= fixed[at]) bin += 1;
      const low = bins[bin * 3 + 1] + (fixed[at] - edges[bin]);
      bins[bin * 3] += 1;
      bins[bin * 3 + 1] = low;
      bins[bin * 3 + 2] += low >= 2 ** 32 ? 1 : 0;
    }
  }
  return bins;
}
