/** What a k-means step reads and changes, a segment at a time: see shaders/kmeans-update.wgsl. */
export interface KmeansState {
  totals: Uint32Array;
  centroids: Uint32Array;
  done: Uint32Array;
  iterations: Uint32Array;
  remaining: Uint32Array;
}

/** sum / count to the nearest integer, ties to even. */
export function roundedMean(count: number, low: number, high: number): number {
  const sum = (BigInt(high) << 32n) | BigInt(low);
  const members = BigInt(count);
  const quotient = sum / members;
  const rest = sum % members;
  const up = 2n * rest > members || (2n * rest === members && quotient % 2n === 1n);
  return Number(quotient) + (up ? 1 : 0);
}

/**
 * CPU twin of shaders/kmeans-update.wgsl: moves centroids to their members' means, in place.
 *
 * @example
 * kmeansUpdate({ totals: Uint32Array.of(2, 25, 0), centroids, done, iterations, remaining }, 1, 1, 0);
 * // 25 / 2 is a tie: the centroid moves to the even 12
 */
export function kmeansUpdate(
  state: KmeansState,
  segments: number,
  clusters: number,
  tolerance: number,
): KmeansState {
  const { totals, centroids, done, iterations, remaining } = state;
  for (let segment = 0; segment < segments; segment++) {
    if (done[segment] !== 0) continue;
    let moved = 0;
    for (let at = segment * clusters; at < (segment + 1) * clusters; at++) {
      const [count, low, high] = totals.subarray(at * 3, at * 3 + 3);
      if (count === 0) continue;
      const after = roundedMean(count, low, high);
      moved = Math.max(moved, Math.abs(after - centroids[at]));
      centroids[at] = after;
      totals.fill(0, at * 3, at * 3 + 3);
    }
    iterations[segment] += 1;
    if (moved <= tolerance) {
      done[segment] = 1;
      remaining[0] -= 1;
    }
  }
  return state;
}
