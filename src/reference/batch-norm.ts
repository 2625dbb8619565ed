/** Normalizes, scales, shifts and clamps, in float64; statistics are (mean, inverse deviation), affine (gamma, beta). */
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
