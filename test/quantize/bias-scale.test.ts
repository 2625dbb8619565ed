import { describe, expect, test } from 'vitest';
import { accumulatorBound } from '../../src/conv/accumulator.ts';
import { fitScales } from '../../src/quantize/bias-scale.ts';
import { seeded } from '../support/runtime.ts';

const LIMIT = 2 ** 31 - 1;
const range = { inputRange: [-128, 127] as [number, number], inputZeroPoint: -7 };

/** Codes of a row of weights by a scale, and its bias in their units. */
function coded(weights: readonly number[], bias: number, scale: number, inputScale: number) {
  const codes = Int8Array.from(weights, (w) => Math.min(127, Math.max(-128, Math.round(w / scale))));
  return { codes, bias: Math.round(bias / Math.fround(Math.fround(inputScale) * scale)) };
}

describe('fitScales', () => {
  test('leaves what fits alone, the very array', () => {
    const scale = Float32Array.of(0.01, 0.02);
    const codes = Int8Array.of(127, -5, 0, 3);
    expect(fitScales({ codes, scale, bias: [3, -2], inputScale: 0.1, ...range })).toBe(scale);
  });

  test('widens a scale just until bias and products fit, and no other channel', () => {
    const random = seeded(3);
    for (let round = 0; round < 200; round++) {
      const terms = random.integer(1, 40);
      const inputScale = 2 ** random.integer(-40, 3) * (1 + random.next());
      const size = 2 ** random.integer(-80, -1);
      const weights = Array.from({ length: terms }, () => random.normal() * size);
      const bias = random.normal() * 2 ** random.integer(-6, 6);
      const own = Math.fround(Math.max(...weights.map(Math.abs)) / 127);
      const before = coded(weights, bias, own, inputScale);
      const codes = Int8Array.from([...before.codes, ...before.codes]);
      const scale = fitScales({
        codes,
        scale: Float32Array.of(own, 1),
        bias: [bias, 0],
        inputScale,
        ...range,
      });
      expect(scale[1]).toBe(1);
      const after = coded(weights, bias, scale[0], inputScale);
      const fits = (x: { codes: Int8Array; bias: number }) =>
        accumulatorBound({ weights: x.codes, channels: 1, bias: [x.bias], ...range }).fits;
      expect(fits(after), JSON.stringify({ weights, bias, inputScale })).toBe(true);
      expect(scale[0] === own).toBe(fits(before));
      // No wider than it must be: all but the last bits of int32 are used.
      if (scale[0] !== own) {
        const { worst } = accumulatorBound({
          weights: after.codes,
          channels: 1,
          bias: [after.bias],
          ...range,
        });
        expect(worst).toBeGreaterThan(LIMIT * 0.99);
      }
      expect(Math.abs(after.bias * Math.fround(inputScale) * scale[0] - bias)).toBeLessThanOrEqual(
        Math.abs(bias) * 1e-6 + (inputScale * scale[0]) / 2,
      );
    }
  });

  test('a channel without weights gets a scale for its bias alone', () => {
    const codes = new Int8Array(6);
    const bias = [0.5, -3e-9, 0];
    const [a, b, c] = fitScales({
      codes,
      scale: Float32Array.of(1, 1, 1),
      bias,
      inputScale: 0.004,
      ...range,
    });
    expect(Math.round(bias[0] / (Math.fround(0.004) * a))).toBe(2 ** 23);
    expect(Math.round(bias[1] / (Math.fround(0.004) * b))).toBe(-(2 ** 23));
    expect(c).toBeGreaterThan(0);
    // The lab's scale is kept where it fits.
    const floor = Float32Array.of(4e-9, 4e-9, 4e-9);
    const kept = fitScales({ codes, scale: floor, bias, inputScale: 0.004, keepDead: true, ...range });
    expect([...kept.slice(1)]).toEqual([...floor.slice(1)]);
    expect(kept[0]).toBeGreaterThan(4e-9);
  });

  test('units of the bias are normal floats, whatever the scales', () => {
    for (const inputScale of [2 ** -126, 1e-30, 1e30]) {
      for (const weight of [2 ** -126, 1e-20, 1e20]) {
        const codes = Int8Array.of(127, 0);
        const [s] = fitScales({ codes, scale: Float32Array.of(weight), bias: [0], inputScale, ...range });
        expect(Math.fround(Math.fround(inputScale) * s)).toBeGreaterThanOrEqual(2 ** -126);
        expect(Number.isFinite(s)).toBe(true);
      }
    }
  });

  test('products that leave int32 by themselves are not its business', () => {
    const codes = new Int8Array(130_000).fill(127);
    const scale = Float32Array.of(0.01);
    expect(fitScales({ codes, scale, bias: [1e9], inputScale: 0.1, ...range })).toBe(scale);
  });
});
