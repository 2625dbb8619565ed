/**
 * The CPU twin of `shaders/sum-splits.wgsl`, in float64: partial is splits x count.
 *
 * @example
 * sumSplits([1, 2, 10, 20], 2); // 11 22
 */
export function sumSplits(partial: ArrayLike<number>, splits: number): Float64Array {
  const count = partial.length / splits;
  const result = new Float64Array(count);
  for (let i = 0; i < partial.length; i++) result[i % count] += partial[i];
  return result;
}
