/**
 * Sum (or mean) of `values` over the elements of each code, in float64.
 *
 * @example
 * codebookGradient([0, 1, 0], [1, 10, 2], 2); // 3 10
 */
export function codebookGradient(
  codes: ArrayLike<number>,
  values: ArrayLike<number>,
  segments: number,
  mean = false,
): Float64Array {
  const sums = new Float64Array(segments);
  const counts = new Float64Array(segments);
  for (let i = 0; i < codes.length; i++) {
    sums[codes[i]] += values[i];
    counts[codes[i]]++;
  }
  return mean ? sums.map((sum, k) => sum / Math.max(1, counts[k])) : sums;
}
