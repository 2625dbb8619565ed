import { kmeansAccumulate } from './kmeans-accumulate.ts';
import { kmeansAssign } from './kmeans-assign.ts';
import { type Chunk, kmeansFix } from './kmeans-fix.ts';
import { kmeansUpdate } from './kmeans-update.ts';

/**
 * Lloyd's algorithm on one set of weights, step by step as the GPU runs it, from given fixed-point centroids.
 *
 * Source: S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28 (1982).
 *
 * @param weights finite float32 values
 * @param exponent biased exponent of the largest magnitude, at least 1
 * @param initial ascending fixed-point centroids
 * @param maxIterations at most this many steps
 * @param tolerance stop once no centroid moves by more, in fixed-point units
 * @example
 * kmeansLloyd(Float32Array.of(0, 0.25, 1), 127, Uint32Array.of(2 ** 24, 2 ** 24 + 2 ** 23), 100, 0).codes; // [0, 0, 1]
 */
export function kmeansLloyd(
  weights: Float32Array,
  exponent: number,
  initial: Uint32Array,
  maxIterations: number,
  tolerance: number,
): { centroids: Uint32Array; codes: Uint8Array; iterations: number; codebook: Float32Array } {
  const clusters = initial.length;
  const chunks: Chunk[] = [[0, 0, weights.length]];
  const fixed = kmeansFix(new Uint32Array(weights.slice().buffer), [exponent], chunks);
  const state = {
    totals: new Uint32Array(clusters * 3),
    centroids: initial.slice(),
    done: new Uint32Array(1),
    iterations: new Uint32Array(1),
    remaining: new Uint32Array([1]),
  };
  while (state.remaining[0] > 0 && state.iterations[0] < maxIterations) {
    kmeansAccumulate(fixed, state.centroids, clusters, state.done, chunks, state.totals);
    kmeansUpdate(state, 1, clusters, tolerance);
  }
  const codes = kmeansAssign(fixed, state.centroids, clusters, chunks).slice(0, weights.length);
  const codebook = Float32Array.from(state.centroids, (c) => (c - 2 ** 24) * 2 ** (exponent - 150));
  return { centroids: state.centroids, codes, iterations: state.iterations[0], codebook };
}
