import type { Chunk } from './kmeans-fix.ts';

/** What the kernels write in place of a position, for bins that are left out. */
export const LEFT_OUT = 2 ** 32 - 1;

/**
 * CPU twin of shaders/kmeans-group.wgsl; the kernel may order the elements within a bin differently.
 *
 * @example
 * const grouped = kmeansGroup(Uint32Array.of(7, 1, 6), [[0, 0, 3]], [[0, 2]], Uint32Array.of(1, 5), Uint32Array.of(0, 1));
 * // [1, 7, 6]
 */
export function kmeansGroup(
  fixed: Uint32Array,
  chunks: readonly Chunk[],
  spans: readonly (readonly [first: number, count: number])[],
  edges: Uint32Array,
  cursors: Uint32Array,
): Uint32Array {
  const grouped = new Uint32Array(fixed.length);
  for (const [segment, begin, end] of chunks) {
    const [first, count] = spans[segment];
    for (let at = begin; at < end; at++) {
      let bin = first;
      while (bin + 1 < first + count && edges[bin + 1] <= fixed[at]) bin += 1;
      if (cursors[bin] === LEFT_OUT) continue;
      grouped[cursors[bin]] = fixed[at];
      cursors[bin] += 1;
    }
  }
  return grouped;
}
