import { integerOfKey, keyOfQuotient, midpointKey, ZERO_LIMB } from './float-keys.ts';
import type { Scale } from './kmeans-keys.ts';

/** What a k-means step reads and changes, a segment at a time: see shaders/kmeans-update.wgsl. */
export interface KmeansState {
  totals: Uint32Array;
  centroids: Uint32Array;
  thresholds: Uint32Array;
  done: Uint32Array;
  iterations: Uint32Array;
  remaining: Uint32Array;
}

/** The key of the mean of `count` members, from the sums of their limbs: three words (count, low, high) a plane. */
export function meanKey(totals: Uint32Array, unit: number, planes: number): number {
  const count = BigInt(totals[0]);
  let sum = 0n;
  for (let plane = 0; plane < planes; plane++) {
    const limbs = (BigInt(totals[plane * 3 + 2]) << 32n) | BigInt(totals[plane * 3 + 1]);
    sum += (limbs - count * BigInt(ZERO_LIMB)) << BigInt(24 * plane);
  }
  return keyOfQuotient(sum << BigInt(unit), count, 'nearest');
}

/** A key in whole units of 2^(largest - 150), towards zero. */
const coarse = (key: number, largest: number) => Number(integerOfKey(key) / (1n << BigInt(largest)));

/**
 * CPU twin of shaders/kmeans-update.wgsl: moves centroids to their members' means, in place.
 *
 * @example
 * kmeansUpdate({ totals, centroids, thresholds, done, iterations, remaining }, [[127, 1, 127]], 1, 16, 0);
 */
export function kmeansUpdate(
  state: KmeansState,
  scales: readonly Scale[],
  planes: number,
  clusters: number,
  tolerance: number,
): KmeansState {
  const { totals, centroids, thresholds, done, iterations, remaining } = state;
  for (const [segment, [unit, own, largest]] of scales.entries()) {
    if (done[segment] !== 0) continue;
    let moved = 0;
    const first = segment * clusters;
    for (let at = first; at < first + clusters; at++) {
      const words = totals.subarray(at * planes * 3, (at * planes + own) * 3);
      if (words[0] === 0) continue;
      const after = meanKey(words, unit, own);
      if (after !== centroids[at]) {
        const apart = Math.abs(coarse(after, largest) - coarse(centroids[at], largest));
        moved = Math.max(moved, 1, apart);
      }
      centroids[at] = after;
      words.fill(0);
    }
    for (let at = first; at + 1 < first + clusters; at++) {
      thresholds[at] = midpointKey(centroids[at], centroids[at + 1]);
    }
    iterations[segment] += 1;
    if (moved <= tolerance) {
      done[segment] = 1;
      remaining[0] -= 1;
    }
  }
  return state;
}
