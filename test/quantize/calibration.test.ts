import { describe, expect, test } from 'vitest';
import { createObserver, type ObserverMethod } from '../../src/quantize/calibration.ts';
import { StreamingHistogram } from '../../src/quantize/histogram.ts';
import { chooseQparams, codeRange } from '../../src/quantize/qparams.ts';
import { quantizeLinear } from '../../src/reference/quantize-linear.ts';
import { roundHalfToEven } from '../../src/reference/round.ts';
import { seeded } from '../support/runtime.ts';

const METHODS: ObserverMethod[] = ['minMax', 'movingAverage', 'percentile', 'mse', 'entropy'];
const signed8 = { bits: 8, signed: true, scheme: 'asymmetric' } as const;

/** Mean squared error of quantizing `values`. */
function error(
  values: Float32Array,
  { scale, zeroPoint }: { scale: number; zeroPoint: number },
  bits: number,
) {
  const { quantMin, quantMax } = codeRange({ bits });
  const layout = { axisSize: 1, axisStride: values.length };
  const codes = quantizeLinear(values, [scale], [zeroPoint], layout, quantMin, quantMax);
  return values.reduce((sum, x, i) => sum + (x - (codes[i] - zeroPoint) * scale) ** 2, 0) / values.length;
}

/**
 * The threshold of least divergence that ONNX Runtime's calibration defines: windows of whole bins round the middle, what
 * lies outside added to their ends, against as many levels of merged bins as there are codes.
 */
function centredThreshold(values: Float32Array, bins: number, levels: number): number {
  const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const width = (2 * largest) / bins;
  const counts = new Float64Array(bins);
  for (const value of values) counts[Math.min(bins - 1, Math.floor((value + largest) / width))]++;
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let half = levels / 2; half <= bins / 2; half++) {
    const [start, end] = [bins / 2 - half, Math.min(bins / 2 + half + 1, bins)];
    const inside = counts.slice(start, end);
    const p = inside.slice();
    p[0] += counts.subarray(0, start).reduce((a, b) => a + b, 0);
    p[p.length - 1] += counts.subarray(end).reduce((a, b) => a + b, 0);
    const merged = Math.floor(inside.length / levels);
    const q = new Float64Array(inside.length);
    for (let level = 0; level < levels; level++) {
      const [from, to] = [level * merged, level === levels - 1 ? inside.length : (level + 1) * merged];
      const mass = inside.subarray(from, to).reduce((a, b) => a + b, 0);
      const nonzero = p.subarray(from, to).filter((count) => count > 0).length;
      for (let i = from; i < to; i++) if (p[i] > 0) q[i] = mass / nonzero;
    }
    const [sumP, sumQ] = [p, q].map((each) => each.reduce((a, b) => a + b, 0));
    let divergence = 0;
    for (let i = 0; i < p.length; i++) {
      if (p[i] > 0)
        divergence += (p[i] / sumP) * Math.log(p[i] / sumP / Math.max(q[i] / sumQ, 1e-4 / p.length));
    }
    if (divergence < least) [best, least] = [half * width, divergence];
  }
  return best;
}

describe('StreamingHistogram', () => {
  test('does not depend on batches or their order', () => {
    const values = seeded(1)
      .floats(5000, 3)
      .map((x, i) => x * 2 ** (i % 9));
    const whole = new StreamingHistogram(256);
    whole.add(values);
    const parts = new StreamingHistogram(256);
    for (let i = 4900; i >= 0; i -= 100) parts.add(values.subarray(i, i + 100));
    expect(parts).toEqual(whole);
    const left = new StreamingHistogram(256);
    const right = new StreamingHistogram(256);
    left.add(values.subarray(0, 10));
    right.add(values.subarray(10));
    left.merge(right);
    expect(left).toEqual(whole);
  });

  test('counts every value in the bin that holds it', () => {
    const values = Float32Array.of(0, -0, 0.99, 1, -1, -0.01, 3.99);
    const histogram = new StreamingHistogram(8);
    histogram.add(values);
    expect(histogram.limit).toBe(4);
    expect([...histogram.counts]).toEqual([0, 0, 0, 2, 3, 1, 0, 1]);
    expect(histogram.counts.reduce((a, b) => a + b)).toBe(histogram.total);
  });

  test('quantiles come within a bin of the sorted values', () => {
    const values = seeded(2).floats(20_000);
    const histogram = new StreamingHistogram();
    histogram.add(values);
    for (const fraction of [0, 0.001, 0.1, 0.5, 0.9, 0.999, 1]) {
      const quantile = histogram.quantile(fraction);
      const below = (edge: number) => values.filter((x) => x < edge).length;
      expect(below(quantile - histogram.binWidth)).toBeLessThanOrEqual(fraction * 20_000);
      expect(below(quantile + histogram.binWidth)).toBeGreaterThanOrEqual(fraction * 20_000);
    }
  });
});

describe('createObserver', () => {
  test('minMax spans what it saw', () => {
    const observer = createObserver('minMax');
    observer.observe(Float32Array.of(0.2, -0.25));
    observer.observe(Float32Array.of(0.75));
    observer.observe(new Float32Array(0));
    expect(observer.range(signed8)).toEqual({ minimum: -0.25, maximum: 0.75 });
    expect(observer.qparams({ bits: 2, scheme: 'asymmetric' })).toEqual({
      scale: Math.fround(1 / 3),
      zeroPoint: -1,
    });
  });

  test('movingAverage mixes the batches’ ranges', () => {
    const observer = createObserver('movingAverage', { momentum: 0.5 });
    observer.observe(Float32Array.of(0, 4));
    observer.observe(Float32Array.of(-2, 8));
    expect(observer.range(signed8)).toEqual({ minimum: -1, maximum: 6 });
    const slow = createObserver('movingAverage');
    slow.observe(Float32Array.of(-10, 20));
    slow.observe(Float32Array.of(0, 0));
    expect(slow.range(signed8)).toEqual({ minimum: -9, maximum: 18 });
  });

  test('percentile cuts off outliers', () => {
    const values = seeded(3).floats(100_000);
    values[5] = 1000;
    const observer = createObserver('percentile', { percentile: 99 });
    observer.observe(values);
    const { minimum, maximum } = observer.range(signed8);
    // The bins span 1,000, half a unit each; the exact quantiles are -2.576 and 2.576.
    expect(minimum).toBeGreaterThan(-3.2);
    expect(maximum).toBeLessThan(3.2);
    expect(maximum).toBeGreaterThan(2);
  });

  for (const bits of [2, 4, 8]) {
    test(`mse errs no more than minMax or any coarser cut, at ${bits} bits`, () => {
      const values = seeded(4).floats(30_000);
      values[7] = 12;
      const observer = createObserver('mse');
      observer.observe(values);
      for (const scheme of ['symmetric', 'asymmetric'] as const) {
        const found = error(values, observer.qparams({ bits, scheme }), bits);
        for (let tenths = 1; tenths <= 10; tenths++) {
          const low = values.reduce((a, b) => Math.min(a, b)) * (tenths / 10);
          const { scale, zeroPoint } = chooseQparams([low], [1.2 * tenths], codeRange({ bits, scheme }));
          const other = error(values, { scale: scale[0], zeroPoint: zeroPoint[0] }, bits);
          expect(found).toBeLessThanOrEqual(other * 1.02);
        }
      }
    });
  }

  test('entropy clips a lone outlier and keeps a uniform distribution whole', () => {
    const random = seeded(5);
    const outlier = random.floats(50_000);
    outlier[9] = 60;
    const clipped = createObserver('entropy');
    clipped.observe(outlier);
    expect(clipped.range({ bits: 8 }).maximum).toBeLessThan(30);
    const uniform = createObserver('entropy');
    uniform.observe(Float32Array.from({ length: 200_000 }, () => random.next() * 2 - 1));
    expect(uniform.range({ bits: 8 }).maximum).toBeGreaterThan(0.9);
  });

  test('99.999 percent are kept unless a percentile is given: half a value in 100,000 at each end', () => {
    const range = (outliers: number, percentile?: number) => {
      const values = new Float32Array(1_000_000).map((_, i) => (i % 1000) / 1000);
      values.fill(1000, 0, outliers);
      const observer = createObserver('percentile', { percentile });
      observer.observe(values);
      return observer.range(signed8);
    };
    // 5 of a million are cut off at each end, 6 are not; a bin is half a unit wide.
    expect(range(4).maximum).toBeLessThan(1.5);
    expect(range(6).maximum).toBeGreaterThan(999);
    expect(range(6, 99.99).maximum).toBeLessThan(1.5);
    expect(range(1, 100)).toEqual({ minimum: 0, maximum: 1000 });
  });

  test('percentile has the ends of ONNX Runtime’s definition, to a bin', () => {
    const random = seeded(7);
    const values = Float32Array.from({ length: 50_000 }, () => random.normal() ** 3 + 1);
    const histogram = new StreamingHistogram();
    histogram.add(values);
    const { counts, total, bins, binWidth, minimum, maximum } = histogram;
    for (const percentile of [99.999, 99.9, 99, 90, 50]) {
      // The edges at which the cumulative share reaches each cut, within what was seen.
      const edgeAt = (share: number) => {
        let [below, bin] = [0, 0];
        for (; bin < bins && (below + counts[bin]) / total < share; bin++) below += counts[bin];
        return (bin - bins / 2) * binWidth;
      };
      const cut = (100 - percentile) / 200;
      const peer = [Math.max(edgeAt(cut), minimum), Math.min(edgeAt(1 - cut), maximum)];
      const observer = createObserver('percentile', { percentile });
      observer.observe(values);
      const own = observer.range(signed8);
      expect(Math.abs(own.minimum - peer[0]), `${percentile}`).toBeLessThanOrEqual(binWidth);
      expect(Math.abs(own.maximum - peer[1]), `${percentile}`).toBeLessThanOrEqual(binWidth);
    }
  });

  test('entropy clips about where ONNX Runtime’s algorithm does', () => {
    const values = seeded(8).floats(200_000);
    for (let i = 0; i < 20; i++) values[i] = (i % 2 ? 1 : -1) * 16;
    const observer = createObserver('entropy');
    observer.observe(values);
    const threshold = centredThreshold(values, 2048, 256);
    const { minimum, maximum } = observer.range({ bits: 8, scheme: 'symmetric' });
    expect(threshold).toBeGreaterThan(3);
    expect(threshold).toBeLessThan(12);
    expect(Math.max(-minimum, maximum) / threshold).toBeGreaterThan(0.5);
    expect(Math.max(-minimum, maximum) / threshold).toBeLessThan(2);
  });

  test('mse finds the end that a hand-made distribution asks for', () => {
    // 2 bits have codes of -2 to 1: with 10,000 values of 1 and of -2 and a lone 4 the steps are to be 1 wide.
    const values = new Float32Array(30_000).map((_, i) => [0, 1, -2][i % 3]);
    values[0] = 4;
    const observer = createObserver('mse');
    observer.observe(values);
    const { scale, zeroPoint } = observer.qparams({ bits: 2, scheme: 'asymmetric' });
    expect(scale).toBeCloseTo(1, 1);
    expect(zeroPoint).toBe(0);
    const whole = createObserver('minMax');
    whole.observe(values);
    expect(whole.qparams({ bits: 2, scheme: 'asymmetric' })).toEqual({ scale: 2, zeroPoint: -1 });
  });

  test('what a histogram has counted is observed as its values are', () => {
    const values = seeded(9).floats(3000, 5);
    const counted = new StreamingHistogram();
    counted.add(values.subarray(1000));
    const { counts, limit, minimum, maximum } = counted;
    for (const method of METHODS) {
      const [one, other] = [createObserver(method), createObserver(method)];
      one.observe(values.subarray(0, 1000));
      one.observe(values.subarray(1000));
      other.observe(values.subarray(0, 1000));
      other.observe(StreamingHistogram.of(counts, limit, minimum, maximum));
      other.observe(new StreamingHistogram());
      expect(other.range(signed8), method).toEqual(one.range(signed8));
    }
  });

  test('after a ReLU the lower end stays at 0', () => {
    const values = seeded(6)
      .floats(20_000)
      .map((x) => Math.max(x, 0));
    for (const method of METHODS) {
      const observer = createObserver(method);
      observer.observe(values);
      expect(observer.qparams(signed8).zeroPoint, method).toBe(-128);
    }
  });

  test('all zeros are a result', () => {
    for (const method of METHODS) {
      const observer = createObserver(method);
      observer.observe(new Float32Array(10));
      const { scale, zeroPoint } = observer.qparams({ bits: 8 });
      expect([scale, zeroPoint], method).toEqual([1, 0]);
    }
  });

  test('refuses what it cannot use', () => {
    for (const method of METHODS) {
      const observer = createObserver(method);
      expect(() => observer.qparams(signed8), method).toThrow(/at least one value/);
      expect(() => observer.observe(Float32Array.of(1, Number.NaN)), method).toThrow(/"NaN at index 1"/);
      expect(() => observer.qparams(signed8), method).toThrow(/at least one value/);
    }
    expect(() => createObserver('median' as never)).toThrow(/method must be/);
    expect(() => createObserver('percentile', { percentile: 0 })).toThrow(/percentile must be/);
    expect(() => createObserver('movingAverage', { momentum: 2 })).toThrow(/momentum must be/);
    expect(() => createObserver('mse', { bins: 100 })).toThrow(/bins must be a power of two/);
  });
});

test('roundHalfToEven', () => {
  const cases = [
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, -0],
    [-1.5, -2],
    [-63.5, -64],
    [-63.4, -63],
    [0.49999999999999994, 0],
    [-0, -0],
    [4503599627370495.5, 4503599627370496],
    [1e300, 1e300],
    [-0.2, -0],
    [Infinity, Infinity],
    [-Infinity, -Infinity],
  ];
  for (const [x, rounded] of cases) expect(roundHalfToEven(x)).toBe(rounded);
  expect(roundHalfToEven(Number.NaN)).toBeNaN();
});
