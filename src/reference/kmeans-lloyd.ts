import { integerOfKey, keyOfQuotient, midpointKey } from './float-keys.ts';
import { kmeansAssign } from './kmeans-assign.ts';
import { type Chunk, kmeansKeys } from './kmeans-keys.ts';

/**
 * Lloyd's algorithm on one set of weights as it is defined, without planes or limbs: every element goes to its nearest
 * centroid, every centroid to the float32 nearest to the exact mean of its members.
 *
 * Source: S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982).
 *
 * @param weights finite float32 values
 * @param initial ascending centroids
 * @param maxIterations at most this many steps
 * @example
 * kmeansLloyd(Float32Array.of(0, 0.25, 1), Float32Array.of(0, 0.5), 100).codes; // [0, 0, 1]
 */
export function kmeansLloyd(
  weights: Float32Array,
  initial: Float32Array,
  maxIterations: number,
): { codebook: Float32Array; codes: Uint8Array; iterations: number } {
  const clusters = initial.length;
  const chunks: Chunk[] = [[0, 0, weights.length]];
  const keys = kmeansKeys(new Uint32Array(weights.slice().buffer), chunks);
  const centroids = kmeansKeys(new Uint32Array(initial.slice().buffer), [[0, 0, clusters]]);
  const nearest = () => {
    const thresholds = centroids.map((key, c) =>
      c + 1 < clusters ? midpointKey(key, centroids[c + 1]) : 2 ** 32 - 1,
    );
    return kmeansAssign(keys, thresholds, clusters, chunks);
  };
  let iterations = 0;
  for (let moved = true; moved && iterations < maxIterations; iterations++) {
    const codes = nearest();
    const sums = new Array<bigint>(clusters).fill(0n);
    const counts = new Array<bigint>(clusters).fill(0n);
    for (const [i, key] of keys.entries()) {
      sums[codes[i]] += integerOfKey(key);
      counts[codes[i]] += 1n;
    }
    moved = false;
    for (let c = 0; c < clusters; c++) {
      if (counts[c] === 0n) continue;
      const after = keyOfQuotient(sums[c], counts[c], 'nearest');
      moved ||= after !== centroids[c];
      centroids[c] = after;
    }
  }
  const bits = centroids.map((key) => (key < 2 ** 31 ? 2 ** 32 - key : key - 2 ** 31));
  return {
    codebook: new Float32Array(bits.buffer),
    codes: nearest().slice(0, weights.length),
    iterations,
  };
}
