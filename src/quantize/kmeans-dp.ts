import type { Pause } from './pause.ts';

/** Distinct numbers, ascending, and how often each occurs. */
export interface Points {
  values: Float32Array;
  counts: Float64Array;
}

/** The squared error of runs of points, each about the float32 nearest to its mean, and those means. */
export interface RunCosts {
  size: number;
  /** Of the points from `begin` to before `end`. */
  error(begin: number, end: number): number;
  mean(begin: number, end: number): number;
}

/** 2^27 + 1: splits a float64 into two halves of 26 bits, whose products are exact (Dekker 1971). */
const SPLIT = 134217729;

/** Error, as a part of the sums of squares it is taken from, of which single float64 numbers keep 29 bits at least. */
const PLENTY = 2 ** -22;

/** What a * b lost, given their rounded product. */
function lostProduct(a: number, b: number, product: number): number {
  const a1 = SPLIT * a - (SPLIT * a - a);
  const b1 = SPLIT * b - (SPLIT * b - b);
  const a2 = a - a1;
  const b2 = b - b1;
  return a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2);
}

/**
 * Prefix sums of the points and of their squares, in pairs of float64 numbers: 106 bits, of which a common offset takes
 * at most 48. They run outwards from 0, small magnitudes first, so that no run loses digits to values outside it.
 */
export function runCosts({ values, counts }: Points): RunCosts {
  const size = values.length;
  const weight = new Float64Array(size + 1);
  const sum = new Float64Array(size + 1);
  const sumLow = new Float64Array(size + 1);
  const square = new Float64Array(size + 1);
  const squareLow = new Float64Array(size + 1);
  for (let i = 0; i < size; i++) weight[i + 1] = weight[i] + counts[i];
  const put = (from: number, to: number, point: number, sign: 1 | -1) => {
    const value = values[point];
    const count = counts[point];
    addTo(sum, sumLow, from, to, sign * value * count, 0);
    const one = value * value;
    const all = one * count;
    addTo(square, squareLow, from, to, sign * all, sign * lostProduct(one, count, all));
  };
  let zero = 0;
  while (zero < size && values[zero] < 0) zero += 1;
  for (let i = zero; i < size; i++) put(i, i + 1, i, 1);
  for (let i = zero; i > 0; i--) put(i, i - 1, i - 1, -1);

  const mean = (begin: number, end: number) =>
    (sum[end] - sum[begin] + (sumLow[end] - sumLow[begin])) / (weight[end] - weight[begin]);
  const error = (begin: number, end: number) => {
    // Equal elements have no error at all, where the formula would leave a trace of their square.
    if (end - begin <= 1) return 0;
    const w = weight[end] - weight[begin];
    const s0 = sum[end] - sum[begin];
    const quick = square[end] - square[begin] - s0 * (s0 / w);
    if (quick > PLENTY * (Math.abs(square[end]) + Math.abs(square[begin]))) {
      const off = s0 / w - Math.fround(s0 / w);
      return quick + w * off * off;
    }
    const sv = s0 - sum[end];
    const s1 = sum[end] - (s0 - sv) - (sum[begin] + sv) + (sumLow[end] - sumLow[begin]);
    const s = s0 + s1;
    const sLow = s1 - (s - s0);
    const q = square[end] - square[begin];
    const qv = q - square[end];
    const qLow = square[end] - (q - qv) - (square[begin] + qv) + (squareLow[end] - squareLow[begin]);
    const product = s * s;
    const productLow = lostProduct(s, s, product) + 2 * s * sLow;
    const t = product / w;
    const back = t * w;
    const tLow = (product - back - lostProduct(t, w, back) + productLow) / w;
    const d = q - t;
    const dv = d - q;
    const least = d + (q - (d - dv) - (t + dv) + qLow - tLow);
    const center = s / w;
    const off = center - Math.fround(center);
    return Math.max(0, least) + w * off * off;
  };
  return { size, error, mean };
}

/** to = from + (high, low), in pairs. */
function addTo(
  highs: Float64Array,
  lows: Float64Array,
  from: number,
  to: number,
  high: number,
  low: number,
): void {
  const a = highs[from];
  const total = a + high;
  const part = total - a;
  const rest = a - (total - part) + (high - part) + lows[from] + low;
  highs[to] = total + rest;
  lows[to] = rest - (highs[to] - total);
}

/** Runs as where each begins, and their error. */
interface Partition {
  begins: Uint32Array;
  error: number;
}

/** Stops of the coarse search that finds the price to start from, at least. */
const COARSE = 1024;
/** Points at either end that are all stops of it: outliers decide what a run more is worth. */
const ENDS = 64;
/** Prices guessed from the last one's runs before every price is the one at which the brackets are equal. */
const GUESSES = 5;
/** Ends between two pauses: some milliseconds. */
const STRETCH = 2 ** 14;
/** Relative error of the sums above, with room to spare. */
const ROUNDING = 1e-13;

/**
 * The best partition of points on a line into `runs` runs, the global optimum of 1-D k-means, as the first point of each.
 *
 * Every run costs its squared error and a price; at the right price the cheapest partition has as many runs as asked
 * for, because the best error is convex in the number of runs. One price takes O(n log n), whatever the number of runs,
 * and O(n) memory; a coarse search names the price to within a few percent.
 *
 * Where the best error is linear in the number of runs, no price may lead to the number asked for: two cheapest
 * partitions with fewer and with more runs are then joined into one with exactly as many.
 *
 * Source: A. Aggarwal, B. Schieber & T. Tokuyama, Finding a minimum-weight k-link path in graphs with the concave Monge
 * property, Discrete Comput. Geom. 12 (1994); D. S. Hirschberg & L. L. Larmore, The least weight subsequence problem,
 * SIAM J. Comput. 16 (1987). That runs about a float32 have the Monge property, as runs about their means do: were two
 * centroids to change places, each would move nearer to the points that change hands.
 *
 * @example
 * const points = { values: Float32Array.of(0, 1, 20), counts: Float64Array.of(1, 1, 2) };
 * await optimalRuns(runCosts(points), 2, createPause()); // [0, 2]
 */
export async function optimalRuns(costs: RunCosts, runs: number, pause: Pause): Promise<Uint32Array> {
  const all = Uint32Array.from({ length: costs.size + 1 }, (_, i) => i);
  let price = (2 * costs.error(0, costs.size)) / runs ** 3;
  const coarse = Math.max(COARSE, 16 * runs);
  if (costs.size > 4 * coarse)
    ({ price } = await search(costs, coarseStops(costs.size, coarse), runs, price, pause));
  return (await search(costs, all, runs, price, pause)).begins;
}

function coarseStops(size: number, count: number): Uint32Array {
  const stops = new Set<number>([size]);
  for (let i = 0; i < ENDS; i++) stops.add(i).add(size - i);
  for (let i = 0; i < count; i++) stops.add(Math.floor((i * size) / count));
  return Uint32Array.from(stops).sort();
}

/** The best partition whose runs begin and end at `stops`, and the price that led to it. */
async function search(
  costs: RunCosts,
  stops: Uint32Array,
  runs: number,
  start: number,
  pause: Pause,
): Promise<{ begins: Uint32Array; price: number }> {
  const size = stops.length - 1;
  if (runs >= size) return { begins: stops.slice(0, size), price: start };
  let fewer: Partition = { begins: Uint32Array.of(0), error: costs.error(0, stops[size]) };
  if (runs === 1) return { begins: fewer.begins, price: start };
  let more: Partition = { begins: stops.slice(0, size), error: 0 };
  let [low, high] = [0, Number.POSITIVE_INFINITY];
  let price = start;
  for (let step = 0; ; step++) {
    const even = (fewer.error - more.error) / (more.begins.length - fewer.begins.length);
    const guessed = step < GUESSES && price > low && price < high;
    if (!guessed) price = even;
    const found = await cheapest(costs, stops, price, pause);
    const own = found.begins.length;
    if (own === runs) return { begins: found.begins, price };
    const value = found.error + price * own;
    const known = fewer.error + price * fewer.begins.length;
    const stuck = own === fewer.begins.length || own === more.begins.length;
    if (!guessed && (stuck || value >= known * (1 - ROUNDING)))
      return { begins: joined(fewer.begins, more.begins, runs, stops[size]), price };
    if (own < runs) [fewer, high] = [found, price];
    else [more, low] = [found, price];
    // The error of n runs falls as 1 / n^2 does, and so the price of one as 1 / n^3.
    const ratio = own / runs;
    price *= ratio * ratio * ratio;
  }
}

/** The partition that is cheapest when every run costs `price` besides its error. */
async function cheapest(
  { error }: RunCosts,
  stops: Uint32Array,
  price: number,
  pause: Pause,
): Promise<Partition> {
  const size = stops.length - 1;
  const best = new Float64Array(size + 1);
  const from = new Uint32Array(size + 1);
  // Candidates for the start of the last run, and from which end on each is the best of those before it.
  const starts = new Uint32Array(size + 1);
  const since = new Uint32Array(size + 1);
  let head = 0;
  let tail = 1;
  since[0] = 1;
  const upTo = (start: number, end: number) => best[start] + error(stops[start], stops[end]);
  const extend = (end: number) => {
    while (head + 1 < tail && since[head + 1] <= end) head += 1;
    from[end] = starts[head];
    best[end] = upTo(starts[head], end) + price;
    // Once a later start is better than an earlier one, it stays so for all later ends.
    let worse = end;
    while (tail > head + 1) {
      const first = since[tail - 1];
      if (upTo(end, first) >= upTo(starts[tail - 1], first)) {
        worse = first;
        break;
      }
      tail -= 1;
    }
    const last = starts[tail - 1];
    let better = size + 1;
    for (let reach = 1; worse + reach <= size; reach *= 2) {
      if (upTo(end, worse + reach) < upTo(last, worse + reach)) {
        better = worse + reach;
        break;
      }
      worse += reach;
    }
    if (better > size && worse < size && upTo(end, size) < upTo(last, size)) better = size;
    if (better > size) return;
    while (better - worse > 1) {
      const middle = (worse + better) >>> 1;
      if (upTo(end, middle) < upTo(last, middle)) better = middle;
      else worse = middle;
    }
    starts[tail] = end;
    since[tail] = better;
    tail += 1;
  };
  for (let end = 1; end <= size; ) {
    await pause();
    for (const last = Math.min(size, end + STRETCH); end <= last; end++) extend(end);
  }
  let count = 0;
  for (let end = size; end > 0; end = from[end]) count += 1;
  const begins = new Uint32Array(count);
  let total = 0;
  for (let end = size; end > 0; end = from[end]) {
    count -= 1;
    begins[count] = stops[from[end]];
    total += error(stops[from[end]], stops[end]);
  }
  return { begins, error: total };
}

/**
 * One partition of `runs` runs from two cheapest ones with fewer and with more: begun as the finer one and ended as the
 * coarser one, from where a run of the finer lies within one of the coarser. By the Monge property neither this nor what
 * is left of the two costs more.
 */
function joined(fewer: Uint32Array, more: Uint32Array, runs: number, size: number): Uint32Array {
  const ahead = runs - fewer.length;
  const at = (begins: Uint32Array, run: number) => (run < begins.length ? begins[run] : size);
  let run = 0;
  while (at(fewer, run + 1) < at(more, run + 1 + ahead)) run += 1;
  return Uint32Array.of(...more.subarray(0, run + ahead + 1), ...fewer.subarray(run + 1));
}
