import { batchNormGradientSums } from './batch-norm-gradient-sums.ts';

/**
 * Gradient of batch norm and its clamp by their input, in float64; `frozen` statistics do not depend on it.
 *
 * @example
 * const inputGradient = batchNormGradient(input, gradient, statistics, affine, [0, Infinity]); // with ReLU
 */
export function batchNormGradient(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  statistics: ArrayLike<number>,
  affine: ArrayLike<number>,
  limits: readonly [number, number],
  frozen = false,
): Float64Array {
  const channels = affine.length / 2;
  const pixels = input.length / channels;
  const sums = batchNormGradientSums(input, gradient, statistics, affine, limits);
  return Float64Array.from(input, (x, i) => {
    const c = i % channels;
    const inverse = statistics[channels + c];
    const normal = (x - statistics[c]) * inverse;
    const value = normal * affine[c] + affine[channels + c];
    const passed = value > limits[0] && value < limits[1] ? gradient[i] : 0;
    const common = frozen ? 0 : (sums[channels + c] + normal * sums[c]) / pixels;
    return affine[c] * inverse * (passed - common);
  });
}
