/**
 * Gradients of gamma and beta, in float64: two rows of channels.
 *
 * @example
 * const sums = batchNormGradientSums(input, gradient, statistics, affine, [0, Infinity]); // with ReLU
 */
export function batchNormGradientSums(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  statistics: ArrayLike<number>,
  affine: ArrayLike<number>,
  [low, high]: readonly [number, number],
): Float64Array {
  const channels = affine.length / 2;
  const sums = new Float64Array(channels * 2);
  for (let i = 0; i < input.length; i++) {
    const c = i % channels;
    const normal = (input[i] - statistics[c]) * statistics[channels + c];
    const value = normal * affine[c] + affine[channels + c];
    if (value <= low || value >= high) continue;
    sums[c] += gradient[i] * normal;
    sums[channels + c] += gradient[i];
  }
  return sums;
}
