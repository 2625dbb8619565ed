/**
 * Normalizes, scales, shifts and clamps, in float64; statistics are (mean, inverse deviation), affine (gamma, beta).
 *
 * @example
 * batchNorm([1, 3], [2, 1], [10, 0], [0, Infinity]); // mean 2, gamma 10, ReLU: 0 10
 */
export function batchNorm(
  input: ArrayLike<number>,
  statistics: ArrayLike<number>,
  affine: ArrayLike<number>,
  [low, high]: readonly [number, number],
): Float64Array {
  const channels = affine.length / 2;
  return Float64Array.from(input, (x, i) => {
    const c = i % channels;
    const value = (x - statistics[c]) * statistics[channels + c] * affine[c] + affine[channels + c];
    return Math.min(high, Math.max(low, value));
  });
}
