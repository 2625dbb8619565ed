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
