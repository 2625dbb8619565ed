/** Weighted points on a line, ascending: how many elements each bin holds and the sum of their values. */
export interface Bins {
  counts: Float64Array;
  sums: Float64Array;
}

/** Prefix sums, and what a run of bins gains: minimizing the squared error is maximizing the sum of S^2 / W of runs. */
function runGains({ counts, sums }: Bins): (begin: number, end: number) => number {
  const size = counts.length;
  const weight = new Float64Array(size + 1);
  const sum = new Float64Array(size + 1);
  const center = Math.round(sums.reduce((a, b) => a + b, 0) / counts.reduce((a, b) => a + b, 0));
  for (let i = 0; i < size; i++) {
    weight[i + 1] = weight[i] + counts[i];
    // Centred, so that squares of sums lose no digits to a common offset; exact, as all of these are integers.
    sum[i + 1] = sum[i] + (sums[i] - center * counts[i]);
  }
  return (begin, end) => {
    const s = sum[end] - sum[begin];
    return (s * s) / (weight[end] - weight[begin]);
  };
}

/**
 * The best partition of weighted points on a line into `clusters` runs: the global optimum of 1-D k-means over whole
 * bins, as the first bin of each run (fewer runs where there are fewer bins).
 *
 * With prefix sums a run costs O(1), and the best start of the last run never moves left as the end moves right, so
 * that divide and conquer fills each of the `clusters` rows of the table in O(bins log bins).
 *
 * Source: X. Wu, Optimal quantization by matrix searching, J. Algorithms 12 (1991); H. Wang & M. Song,
 * Ckmeans.1d.dp, The R Journal 3 (2011).
 *
 * @example
 * optimalRuns({ counts: Float64Array.of(1, 1, 2), sums: Float64Array.of(0, 1, 20) }, 2); // [0, 2]
 */
export function optimalRuns(bins: Bins, clusters: number): Uint32Array {
  const size = bins.counts.length;
  const runs = Math.min(clusters, size);
  const gain = runGains(bins);
  // best[i]: the most that the first i bins can gain in `row + 1` runs; starts[row][i]: where the last of them begins.
  let best = new Float64Array(size + 1);
  let next = new Float64Array(size + 1);
  const starts = Array.from({ length: runs }, () => new Uint32Array(size + 1));
  for (let i = 1; i <= size; i++) best[i] = gain(0, i);
  for (let row = 1; row < runs; row++) {
    const start = starts[row];
    const fewer = starts[row - 1];
    const fill = (lowest: number, high: number, lowestStart: number, to: number): void => {
      let low = lowest;
      let from = lowestStart;
      while (low <= high) {
        const end = (low + high) >>> 1;
        // With one run more the last run starts no earlier: the row above narrows the search as well.
        const first = Math.max(from, fewer[end], row);
        const last = Math.min(to, end - 1);
        let most = Number.NEGATIVE_INFINITY;
        let where = first;
        for (let begin = first; begin <= last; begin++) {
          const value = best[begin] + gain(begin, end);
          if (value > most) {
            most = value;
            where = begin;
          }
        }
        next[end] = most;
        start[end] = where;
        fill(low, end - 1, from, where);
        low = end + 1;
        from = where;
      }
    };
    // Nothing follows the last row: only its end is needed.
    fill(row < runs - 1 ? row + 1 : size, size, row, size - 1);
    [best, next] = [next, best];
  }
  const firsts = new Uint32Array(runs);
  for (let row = runs - 1, end = size; row > 0; row--) {
    end = starts[row][end];
    firsts[row] = end;
  }
  return firsts;
}

/**
 * The best partition whose cuts stay in given windows: run r begins at one of the bins `windows[r - 1]`, both ends
 * included. O(runs x window^2).
 *
 * @example
 * windowedRuns({ counts: Float64Array.of(1, 1, 2), sums: Float64Array.of(0, 1, 20) }, [[1, 2]]); // [0, 2]
 */
export function windowedRuns(
  bins: Bins,
  windows: readonly (readonly [first: number, last: number])[],
): Uint32Array {
  const gain = runGains(bins);
  const size = bins.counts.length;
  const ranges = [[0, 0], ...windows, [size, size]] as const;
  let best = Float64Array.of(0);
  const starts: Uint32Array[] = [];
  for (let row = 1; row < ranges.length; row++) {
    const [from, to] = ranges[row - 1];
    const [first, last] = ranges[row];
    const next = new Float64Array(last - first + 1).fill(Number.NEGATIVE_INFINITY);
    const start = new Uint32Array(last - first + 1);
    for (let end = first; end <= last; end++) {
      for (let begin = from; begin <= Math.min(to, end - 1); begin++) {
        const value = best[begin - from] + gain(begin, end);
        if (value > next[end - first]) {
          next[end - first] = value;
          start[end - first] = begin;
        }
      }
    }
    best = next;
    starts.push(start);
  }
  const firsts = new Uint32Array(ranges.length - 1);
  for (let row = starts.length - 1, end = size; row >= 0; row--) {
    end = starts[row][end - ranges[row + 1][0]];
    firsts[row] = end;
  }
  return firsts;
}

/** The mean of each run, given the first bin of each. */
export function runMeans({ counts, sums }: Bins, firsts: Uint32Array): Float64Array {
  return Float64Array.from(firsts, (first, run) => {
    const end = run + 1 < firsts.length ? firsts[run + 1] : counts.length;
    const total = (values: Float64Array) => values.subarray(first, end).reduce((a, b) => a + b, 0);
    return total(sums) / total(counts);
  });
}
