/**
 * The CPU twin of `shaders/moving-average.wgsl`, in float64: an average moved towards values by a rate.
 *
 * @example
 * movingAverage([0, 10], [10, 10], 0.1); // 1 10
 */
export function movingAverage(
  average: ArrayLike<number>,
  values: ArrayLike<number>,
  rate: number,
): Float64Array {
  return Float64Array.from(average, (before, i) => before + rate * (values[i] - before));
}
