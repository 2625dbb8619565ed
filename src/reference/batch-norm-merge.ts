/** What batch norm keeps of a batch: mean and inverse deviation, and the running mean and variance moved towards it. */
export interface MergedStatistics {
  statistics: Float64Array;
  running: Float64Array;
}

/**
 * Joins splits of (mean, M2) rows, `sizes` pixels each, in float64.
 *
 * @example
 * batchNormMerge([first, second], [256, 100], running, { epsilon: 1e-5, momentum: 0.1 });
 */
export function batchNormMerge(
  splits: readonly ArrayLike<number>[],
  sizes: readonly number[],
  before: ArrayLike<number>,
  { epsilon, momentum }: { epsilon: number; momentum: number },
): MergedStatistics {
  const channels = before.length / 2;
  const statistics = new Float64Array(channels * 2);
  const running = Float64Array.from(before);
  const total = sizes.reduce((a, b) => a + b);
  for (let c = 0; c < channels; c++) {
    let mean = 0;
    for (const [s, split] of splits.entries()) mean += (split[c] * sizes[s]) / total;
    let squares = 0;
    for (const [s, split] of splits.entries()) {
      squares += split[channels + c] + sizes[s] * (split[c] - mean) ** 2;
    }
    statistics[c] = mean;
    statistics[channels + c] = 1 / Math.sqrt(squares / total + epsilon);
    running[c] += momentum * (mean - before[c]);
    running[channels + c] += momentum * (squares / Math.max(1, total - 1) - before[channels + c]);
  }
  return { statistics, running };
}
