import { LEFT_OUT } from './kmeans-group.ts';

/** Bins of all segments, as shaders/kmeans-totals.wgsl reads them. */
export interface BinnedElements {
  spans: readonly (readonly [first: number, count: number])[];
  edges: Uint32Array;
  /** Four words a bin: elements before it (count, sum's low and high word), and where it starts in `grouped`. */
  prefixes: Uint32Array;
  grouped: Uint32Array;
}

/**
 * CPU twin of shaders/kmeans-totals.wgsl: counts and sums of each centroid's members, from bins.
 *
 * @example
 * kmeansTotals(Uint32Array.of(1, 5), 2, [0], bins, totals); // what kmeansAccumulate adds to zeroed totals
 */
export function kmeansTotals(
  centroids: Uint32Array,
  clusters: number,
  done: ArrayLike<number>,
  { spans, edges, prefixes, grouped }: BinnedElements,
  totals: Uint32Array,
): Uint32Array {
  const below = (segment: number, threshold: number): [count: number, sum: bigint] => {
    const [first, bins] = spans[segment];
    if (threshold < edges[first]) return [0, 0n];
    let bin = first;
    while (bin + 1 < first + bins && edges[bin + 1] <= threshold) bin += 1;
    const start = prefixes[bin * 4 + 3];
    const single = start === LEFT_OUT && bin + 1 < first + bins;
    const [before, low, high] = prefixes.subarray((bin + (single ? 1 : 0)) * 4);
    let count = before;
    let sum = (BigInt(high) << 32n) | BigInt(low);
    const end = start === LEFT_OUT ? start : start + prefixes[(bin + 1) * 4] - before;
    for (let at = start; at < end; at++) {
      if (grouped[at] > threshold) continue;
      count += 1;
      sum += BigInt(grouped[at]);
    }
    return [count, sum];
  };
  for (let at = 0; at < centroids.length; at++) {
    const segment = Math.floor(at / clusters);
    const c = at % clusters;
    if (done[segment] !== 0) continue;
    const threshold = (left: number) => Math.floor((centroids[left] + centroids[left + 1]) / 2);
    const [first, bins] = spans[segment];
    const [under, underSum] = c === 0 ? [0, 0n] : below(segment, threshold(at - 1));
    const [upTo, upToSum] = below(segment, c + 1 < clusters ? threshold(at) : edges[first + bins - 1]);
    const sum = upToSum - underSum;
    totals.set([upTo - under, Number(sum & 0xffffffffn), Number(sum >> 32n)], at * 3);
  }
  return totals;
}
