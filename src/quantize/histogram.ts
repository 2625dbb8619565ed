import { check } from '../gpu/errors.ts';

/**
 * Smallest and largest of values; Infinity and -Infinity of none.
 *
 * @throws LloydError for a NaN or infinity
 */
export function finiteRange(values: Float32Array): { minimum: number; maximum: number } {
  let [minimum, maximum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value - value !== 0) check(false, 'observed values must be finite', `${value} at index ${i}`);
    if (value < minimum) minimum = value;
    if (value > maximum) maximum = value;
  }
  return { minimum, maximum };
}

/**
 * A histogram over a stream, in fixed memory: bins of equal width around 0 whose width doubles, and whose neighbours
 * merge, whenever a value lies outside. Counts are exact and, because widths are powers of two, do not depend on the
 * order or the batches in which values arrived.
 *
 * @example
 * const histogram = new StreamingHistogram();
 * for (const batch of batches) histogram.add(batch);
 * histogram.quantile(0.999);
 */
export class StreamingHistogram {
  /** Counts of bins that cover [-limit, limit); bin i starts at (i - bins / 2) * binWidth. */
  counts: Float64Array;
  /** A power of two above every magnitude seen; 0 before the first nonzero value. */
  limit = 0;
  minimum = Number.POSITIVE_INFINITY;
  maximum = Number.NEGATIVE_INFINITY;
  total = 0;

  /** @param bins how many, a power of two of 4 or more; 4096 resolve the largest magnitude to 1 in 1024 or better. */
  constructor(readonly bins = 4096) {
    check(Number.isInteger(Math.log2(bins)) && bins >= 4, 'bins must be a power of two of 4 or more', bins);
    this.counts = new Float64Array(bins);
  }

  /**
   * A histogram that was counted elsewhere, as `kernels.observeHistogram` counts it.
   *
   * @param counts of bins that cover [-limit, limit)
   * @param limit a power of two above the magnitudes of minimum and maximum
   * @example
   * const { limit } = StreamingHistogram.of(Float64Array.of(0, 1, 2, 0), 2, -0.5, 0.25); // 2: a bin is 1 wide
   */
  static of(counts: ArrayLike<number>, limit: number, minimum: number, maximum: number): StreamingHistogram {
    const made = new StreamingHistogram(counts.length);
    made.counts = Float64Array.from(counts);
    made.total = made.counts.reduce((sum, count) => sum + count, 0);
    return Object.assign(made, { limit, minimum, maximum });
  }

  get binWidth(): number {
    return (2 * this.limit) / this.bins;
  }

  /** The middle of bin i, or 0 while only zeros were seen. */
  center(i: number): number {
    return (i - this.bins / 2 + 0.5) * this.binWidth;
  }

  /**
   * Counts values, all of them finite.
   *
   * @throws LloydError for a NaN or infinity, before anything is counted.
   */
  add(values: Float32Array): void {
    const { minimum: low, maximum: high } = finiteRange(values);
    if (values.length === 0) return;
    this.reach(Math.max(-low, high));
    this.minimum = Math.min(this.minimum, low);
    this.maximum = Math.max(this.maximum, high);
    this.total += values.length;
    const half = this.bins / 2;
    const perUnit = this.limit === 0 ? 0 : half / this.limit;
    for (let i = 0; i < values.length; i++) this.counts[Math.floor(values[i] * perUnit) + half]++;
  }

  /** Adds what another histogram with as many bins has counted. */
  merge(other: StreamingHistogram): void {
    check(other.bins === this.bins, `histograms must have as many bins, ${this.bins}`, other.bins);
    if (other.total === 0) return;
    const copy = new StreamingHistogram(other.bins);
    copy.counts = other.counts.slice();
    copy.limit = other.limit;
    this.reach(other.limit / 2);
    copy.reach(this.limit / 2);
    for (let i = 0; i < this.bins; i++) this.counts[i] += copy.counts[i];
    this.minimum = Math.min(this.minimum, other.minimum);
    this.maximum = Math.max(this.maximum, other.maximum);
    this.total += other.total;
  }

  /**
   * The value below which a fraction of the values lies, to within a bin and never outside what was seen.
   *
   * @param fraction 0 gives the minimum, 1 the maximum
   */
  quantile(fraction: number): number {
    if (fraction <= 0) return this.minimum;
    if (fraction >= 1) return this.maximum;
    let wanted = fraction * this.total;
    for (let i = 0; i < this.bins; i++) {
      if (this.counts[i] > 0 && wanted <= this.counts[i]) {
        const edge = (i - this.bins / 2 + wanted / this.counts[i]) * this.binWidth;
        return Math.min(Math.max(edge, this.minimum), this.maximum);
      }
      wanted -= this.counts[i];
    }
    return this.maximum;
  }

  /** Doubles the bins' width until `magnitude` lies below the limit. */
  private reach(magnitude: number): void {
    if (magnitude === 0) return;
    // 2^1024 overflows, but f32 magnitudes stay below 2^128.
    const limit = 2 ** (Math.floor(Math.log2(magnitude)) + 1);
    const wanted = limit > magnitude ? limit : limit * 2;
    if (wanted <= this.limit) return;
    const half = this.bins / 2;
    const merged = new Float64Array(this.bins);
    if (this.limit === 0) merged[half] = this.counts[half];
    else {
      const factor = wanted / this.limit;
      for (let i = 0; i < this.bins; i++) merged[Math.floor((i - half) / factor) + half] += this.counts[i];
    }
    this.counts = merged;
    this.limit = wanted;
  }
}
