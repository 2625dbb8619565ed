import { limbOfKey } from './float-keys.ts';
import { codeOf } from './kmeans-assign.ts';
import type { Scale } from './kmeans-keys.ts';

/** Elements of a block: BLOCK of the shader. */
export const BLOCK = 64;

/** Sorted keys of all segments, and sums of limbs before each of their blocks: see shaders/kmeans-totals.wgsl. */
export interface SortedKeys {
  spans: readonly (readonly [first: number, count: number, firstBlock: number])[];
  sorted: Uint32Array;
  /** Two words (low, high) a block and plane. */
  prefixes: Uint32Array;
}

/**
 * CPU twin of shaders/kmeans-totals.wgsl: counts and sums of each centroid's members, from sorted keys.
 *
 * @example
 * kmeansTotals(thresholds, 2, [[127, 1, 127]], [0], { spans, sorted, prefixes }, totals, 1);
 */
export function kmeansTotals(
  thresholds: Uint32Array,
  clusters: number,
  scales: readonly Scale[],
  done: ArrayLike<number>,
  { spans, sorted, prefixes }: SortedKeys,
  totals: Uint32Array,
  planes: number,
): Uint32Array {
  for (const [segment, [first, count, firstBlock]] of spans.entries()) {
    if (done[segment] !== 0) continue;
    const [unit, own] = scales[segment];
    const keys = sorted.subarray(first, first + count);
    const codes = Array.from(keys, (key) => codeOf(key, thresholds, segment * clusters, clusters));
    const below = (rank: number, plane: number) => {
      const block = Math.floor(rank / BLOCK);
      const [low, high] = prefixes.subarray(((firstBlock + block) * planes + plane) * 2);
      let sum = (BigInt(high) << 32n) | BigInt(low);
      for (let at = block * BLOCK; at < rank; at++) sum += BigInt(limbOfKey(keys[at], unit + 24 * plane));
      return sum;
    };
    for (let c = 0; c < clusters; c++) {
      const from = codes.filter((code) => code < c).length;
      const to = codes.filter((code) => code <= c).length;
      for (let plane = 0; plane < own; plane++) {
        const sum = below(to, plane) - below(from, plane);
        totals.set(
          [to - from, Number(sum & 0xffffffffn), Number(sum >> 32n)],
          ((segment * clusters + c) * planes + plane) * 3,
        );
      }
    }
  }
  return totals;
}
