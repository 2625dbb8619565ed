import { check, LloydError } from '../gpu/errors.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { finiteRange, StreamingHistogram } from './histogram.ts';
import { type CodeOptions, type CodeRange, chooseQparams, codeRange } from './qparams.ts';

/** How a range is chosen from the activations that were seen. */
export type ObserverMethod = 'minMax' | 'movingAverage' | 'percentile' | 'mse' | 'entropy';

/** All of them. */
export const OBSERVER_METHODS: readonly ObserverMethod[] = [
  'minMax',
  'movingAverage',
  'percentile',
  'mse',
  'entropy',
];

/** Whether a method looks at more of the values than their extremes. */
export const usesHistogram = (method: ObserverMethod) => method !== 'minMax' && method !== 'movingAverage';

/** Lowest and highest value. */
export type Range = readonly [low: number, high: number];

/** Options of {@link createObserver}. */
export interface ObserverOptions {
  /** `movingAverage`: the weight of a new batch, above 0 and at most 1; 0.1 unless given. */
  momentum?: number;
  /** `percentile`: how many percent of the values the range keeps, half of the rest cut off at each end; 99.999. */
  percentile?: number;
  /** Bins of the histogram that the last three methods keep, a power of two; 4096. */
  bins?: number;
}

/** Watches a stream of activations and then says how to quantize them, per tensor. */
export interface Observer {
  /** Takes one batch, or what a histogram has counted of it; an empty one changes nothing. */
  observe(batch: Float32Array | StreamingHistogram): void;
  /** The range that the codes should span, before it is widened to hold 0. */
  range(options: CodeOptions): { minimum: number; maximum: number };
  /** Scale and zero point for codes of this width, signedness and scheme. */
  qparams(options: CodeOptions): { scale: number; zeroPoint: number };
}

/**
 * Creates an observer, by the methods that ONNX Runtime's calibration names. `minMax` spans all values seen; `movingAverage` averages the batches' ranges; `percentile` cuts
 * off outliers; `mse` takes the range with the smallest squared quantization error (the highest SQNR); `entropy` the
 * one with the smallest Kullback-Leibler divergence between the values and their quantized version. The last three keep
 * a histogram of fixed size, and do not depend on the order of batches; `mse` and `entropy` look at both ends of a range
 * and at the codes that it will have, where ONNX Runtime's entropy moves both ends at once.
 *
 * @throws LloydError for an unknown method or an option out of range; `observe` throws for a NaN or infinity, `range`
 *   and `qparams` before anything was observed.
 * @example
 * const observer = createObserver('percentile', { percentile: 99.9 });
 * for (const batch of activations) observer.observe(batch);
 * const { scale, zeroPoint } = observer.qparams({ bits: 8, signed: true, scheme: 'asymmetric' });
 */
export function createObserver(method: ObserverMethod = 'minMax', options: ObserverOptions = {}): Observer {
  const { momentum = 0.1, percentile = 99.999, bins } = options;
  check(momentum > 0 && momentum <= 1, 'momentum must be above 0 and at most 1', momentum);
  check(percentile > 0 && percentile <= 100, 'percentile must be above 0 and at most 100', percentile);
  if (method === 'minMax' || method === 'movingAverage') return withQparams(extremes(method, momentum));
  const histogram = new StreamingHistogram(bins);
  const observe = (batch: Float32Array | StreamingHistogram) => {
    if (batch instanceof StreamingHistogram) histogram.merge(batch);
    else histogram.add(batch);
  };
  const bounded = (range: Observer['range']): Observer['range'] => {
    return (codes) => {
      checkObserved(histogram.total > 0);
      return range(codes);
    };
  };
  switch (method) {
    case 'percentile': {
      const cut = (1 - percentile / 100) / 2;
      const range = () => ({ minimum: histogram.quantile(cut), maximum: histogram.quantile(1 - cut) });
      return withQparams({ observe, range: bounded(range) });
    }
    case 'mse':
      return withQparams({
        observe,
        range: bounded((codes) => search(histogram, codeRange(codes), squaredError)),
      });
    case 'entropy':
      return withQparams({
        observe,
        range: bounded((codes) => search(histogram, codeRange(codes), divergence)),
      });
    default:
      throw new LloydError(
        "method must be 'minMax', 'movingAverage', 'percentile', 'mse' or 'entropy'",
        method,
      );
  }
}

function withQparams(observer: Pick<Observer, 'observe' | 'range'>): Observer {
  return {
    ...observer,
    qparams(options) {
      const { minimum, maximum } = observer.range(options);
      const { scale, zeroPoint } = chooseQparams([minimum], [maximum], codeRange(options));
      return { scale: scale[0], zeroPoint: zeroPoint[0] };
    },
  };
}

function checkObserved(observed: boolean): void {
  check(
    observed,
    'an observer must see at least one value before it is asked',
    'no values',
    'call observe first',
  );
}

/**
 * A range after one more batch: the extremes of all, or moved towards the batch's.
 *
 * @param momentum the batch's weight in a moving average
 */
export function observeRange(
  method: 'minMax' | 'movingAverage',
  seen: Range | undefined,
  now: Range,
  momentum = 0.1,
): Range {
  if (!seen) return now;
  if (method === 'minMax') return [Math.min(seen[0], now[0]), Math.max(seen[1], now[1])];
  const kept = 1 - momentum;
  return [seen[0] * kept + now[0] * momentum, seen[1] * kept + now[1] * momentum];
}

function extremes(method: 'minMax' | 'movingAverage', momentum: number): Pick<Observer, 'observe' | 'range'> {
  let seen: Range | undefined;
  return {
    observe(batch) {
      const now = batch instanceof StreamingHistogram ? batch : finiteRange(batch);
      if (now.minimum <= now.maximum) seen = observeRange(method, seen, [now.minimum, now.maximum], momentum);
    },
    range() {
      checkObserved(seen !== undefined);
      return { minimum: seen![0], maximum: seen![1] };
    },
  };
}

type Cost = (histogram: StreamingHistogram, scale: number, zeroPoint: number, range: CodeRange) => number;

/** By what share a narrower range must be better: how near its values lie to steps is chance, and a tie keeps the wider. */
const LEAST_GAIN = 0.01;
/** Ends are cut at this resolution; the plane of two ends is first searched COARSE times more coarsely. */
const SEARCH_STEPS = 256;
const COARSE = 8;

/**
 * The range of least cost among fractions of each end. Symmetric codes shrink both ends together; asymmetric ones are
 * searched on a coarse grid of both fractions, then on a fine one around the best of it (the cost has many valleys, so
 * moving one end at a time stops in a worse one).
 */
function search(histogram: StreamingHistogram, range: CodeRange, cost: Cost) {
  const whole = { minimum: Math.min(histogram.minimum, 0), maximum: Math.max(histogram.maximum, 0) };
  let best = { low: SEARCH_STEPS, high: SEARCH_STEPS };
  let least = Number.POSITIVE_INFINITY;
  const at = (low: number, high: number) => ({
    minimum: (whole.minimum * low) / SEARCH_STEPS,
    maximum: (whole.maximum * high) / SEARCH_STEPS,
  });
  const attempt = (low: number, high: number) => {
    const { minimum, maximum } = at(low, high);
    const { scale, zeroPoint } = chooseQparams([minimum], [maximum], range);
    const found = cost(histogram, scale[0], zeroPoint[0], range);
    if (found < least) {
      least = found;
      best = { low, high };
    }
  };
  attempt(SEARCH_STEPS, SEARCH_STEPS);
  least *= 1 - LEAST_GAIN;
  const fractions = (end: number, from: number, to: number, step: number) => {
    if (end === 0) return [SEARCH_STEPS];
    const list: number[] = [];
    for (let f = Math.min(to, SEARCH_STEPS); f >= Math.max(from, 1); f -= step) list.push(f);
    return list;
  };
  const scan = (lows: number[], highs: number[]) => {
    for (const low of lows) for (const high of highs) attempt(low, high);
  };
  const { minimum, maximum } = whole;
  if (range.symmetric) for (const both of fractions(1, 1, SEARCH_STEPS, 1)) attempt(both, both);
  else {
    scan(fractions(minimum, 1, SEARCH_STEPS, COARSE), fractions(maximum, 1, SEARCH_STEPS, COARSE));
    const { low, high } = best;
    const around = (end: number, f: number) => fractions(end, f - COARSE + 1, f + COARSE - 1, 1);
    scan(around(minimum, low), around(maximum, high));
  }
  return at(best.low, best.high);
}

function codeOf(value: number, scale: number, zeroPoint: number, { quantMin, quantMax }: CodeRange): number {
  return Math.min(Math.max(roundHalfToEven(value / scale) + zeroPoint, quantMin), quantMax);
}

/**
 * Sum over the bins of count * (x - its dequantized code)^2, integrated over the bin: at its middle alone, eight bins to a
 * step would tell one range from another by how they happen to meet the steps.
 */
function squaredError(
  histogram: StreamingHistogram,
  scale: number,
  zeroPoint: number,
  { quantMin, quantMax }: CodeRange,
): number {
  const { bins, counts, binWidth } = histogram;
  if (binWidth === 0) return 0;
  const [lowest, highest] = [quantMin - zeroPoint, quantMax - zeroPoint];
  // An antiderivative in steps: a twelfth for each whole step, a cube from the middle of a step or the last code on.
  const integral = (x: number) => {
    const u = x / scale;
    const nearest = Math.min(Math.max(Math.floor(u + 0.5), lowest), highest);
    const rest = u - nearest;
    return nearest / 12 + (rest * rest * rest) / 3;
  };
  let sum = 0;
  for (let i = 0; i < bins; i++) {
    if (counts[i] === 0) continue;
    const start = (i - bins / 2) * binWidth;
    sum += counts[i] * (integral(start + binWidth) - integral(start));
  }
  return (sum * scale ** 3) / binWidth;
}

/**
 * KL(P || Q), after Migacz, "8-bit inference with TensorRT" (2017): P is the histogram with what lies outside the range
 * moved to its ends; Q spreads each code's own mass evenly over the nonempty bins that share the code.
 */
function divergence(
  histogram: StreamingHistogram,
  scale: number,
  zeroPoint: number,
  range: CodeRange,
): number {
  const { bins, counts, total } = histogram;
  const low = (range.quantMin - zeroPoint - 0.5) * scale;
  const high = (range.quantMax - zeroPoint + 0.5) * scale;
  const levels = range.quantMax - range.quantMin + 1;
  const mass = new Float64Array(levels);
  const nonempty = new Float64Array(levels);
  const level = new Int32Array(bins);
  let [first, last, below, above, inside] = [-1, -1, 0, 0, 0];
  for (let i = 0; i < bins; i++) {
    const value = histogram.center(i);
    if (value < low) below += counts[i];
    else if (value > high) above += counts[i];
    else {
      level[i] = codeOf(value, scale, zeroPoint, range) - range.quantMin;
      mass[level[i]] += counts[i];
      nonempty[level[i]] += counts[i] > 0 ? 1 : 0;
      inside += counts[i];
      if (first < 0) first = i;
      last = i;
    }
  }
  if (inside === 0) return Number.POSITIVE_INFINITY;
  const SMALLEST_SHARE = 1e-9;
  let sum = 0;
  for (let i = first; i <= last; i++) {
    const p = (counts[i] + (i === first ? below : 0) + (i === last ? above : 0)) / total;
    if (p === 0) continue;
    const q = counts[i] === 0 ? 0 : mass[level[i]] / nonempty[level[i]] / inside;
    sum += p * Math.log(p / Math.max(q, SMALLEST_SHARE));
  }
  return sum;
}
