import { describe, expect, test } from 'vitest';
import { accumulatorBound, checkAccumulator, foldZeroPoint } from '../../src/conv/accumulator.ts';
import { seeded } from '../support/runtime.ts';

describe('accumulator', () => {
  test('the bound is what the worst input reaches', () => {
    const random = seeded(2);
    for (let i = 0; i < 50; i++) {
      const channels = random.integer(1, 4);
      const terms = random.integer(1, 40);
      const weights = random.int8s(channels * terms);
      const bias = Int32Array.from({ length: channels }, () => random.integer(-1000, 1000));
      const [zero, weightZeroPoint] = [random.integer(-128, 127), random.integer(-128, 127)];
      const { worst, fits, splits } = accumulatorBound({
        weights,
        channels,
        weightZeroPoint,
        inputRange: [-128, 127],
        inputZeroPoint: zero,
        bias,
      });
      let expected = 0;
      for (let c = 0; c < channels; c++)
        for (const sign of [1, -1]) {
          let sum = bias[c];
          for (let k = 0; k < terms; k++) {
            const weight = weights[c * terms + k] - weightZeroPoint;
            sum += (weight * sign > 0 ? 127 - zero : -128 - zero) * weight;
          }
          expected = Math.max(expected, Math.abs(sum));
        }
      expect(worst).toBe(expected);
      expect([fits, splits]).toEqual([true, [terms]]);
    }
  });

  test("int32's edge: 2^31 - 1 passes, one more is refused with the place to split", () => {
    const one = {
      weights: Int8Array.of(1),
      channels: 1,
      inputRange: [-128, 127] as const,
      inputZeroPoint: 0,
    };
    expect(checkAccumulator('edge', { ...one, bias: [2 ** 31 - 128] }).fits).toBe(true);
    expect(() => checkAccumulator('edge', { ...one, bias: [2 ** 31 - 127] })).toThrow(
      /2147483648 in output channel 0/,
    );
  });

  test('33,025 products of 255 x 255 fit, 33,026 are split in two', () => {
    const sum = (terms: number) => ({
      weights: new Uint8Array(terms).fill(255),
      channels: 1,
      inputRange: [0, 255] as const,
      inputZeroPoint: 0,
    });
    expect(accumulatorBound(sum(33025))).toMatchObject({ fits: true, splits: [33025] });
    expect(accumulatorBound(sum(33026))).toMatchObject({ fits: false, splits: [33025, 33026] });
    expect(() => checkAccumulator('wide', sum(33026))).toThrow(/2 runs that end at 33025, 33026/);
  });

  test('kernels that sum plain codes have to fit those sums, times what narrow weights are multiplied by', () => {
    const random = seeded(4);
    for (let i = 0; i < 40; i++) {
      const [channels, terms] = [random.integer(1, 3), random.integer(1, 30)];
      const weights = random.int8s(channels * terms, -8, 7);
      const inputZeroPoint = random.integer(-128, 127);
      const bias = Int32Array.from({ length: channels }, () => random.integer(-999, 999));
      const input = { weights, channels, inputRange: [-128, 127] as const, inputZeroPoint, bias };
      let plain = 0;
      for (let c = 0; c < channels; c++) {
        for (const ends of [
          [-128, 127],
          [127, -128],
        ]) {
          let sum = 0;
          for (const w of weights.subarray(c * terms, (c + 1) * terms)) sum += w * ends[w > 0 ? 1 : 0];
          plain = Math.max(plain, Math.abs(sum));
        }
      }
      const { worst } = accumulatorBound(input);
      expect(accumulatorBound({ ...input, spread: 1 }).worst).toBe(Math.max(worst, plain));
      expect(accumulatorBound({ ...input, spread: 64 }).worst).toBe(Math.max(worst, plain * 64));
      // The fold is the same sum: an input of plain codes plus it is the accumulator.
      const codes = random.int8s(terms);
      const folded = foldZeroPoint(weights, bias, inputZeroPoint);
      for (let c = 0; c < channels; c++) {
        const row = weights.subarray(c * terms, (c + 1) * terms);
        const sum = row.reduce((total, w, k) => total + w * codes[k], 0) + folded[c];
        const expected = row.reduce((total, w, k) => total + w * (codes[k] - inputZeroPoint), bias[c]);
        expect(sum).toBe(expected);
      }
    }
    const narrow = { weights: new Int8Array(131_072).fill(-8), channels: 1, inputZeroPoint: 0 };
    const range = { inputRange: [-128, 127] as const };
    expect(accumulatorBound({ ...narrow, ...range }).fits).toBe(true);
    const { fits, splits } = accumulatorBound({ ...narrow, ...range, spread: 16 });
    expect([fits, splits]).toEqual([false, [131_071, 131_072]]);
  });

  test('a bias alone beyond int32 names itself', () => {
    const input = { weights: [1], channels: 1, inputRange: [0, 255] as const, inputZeroPoint: 0 };
    expect(() => checkAccumulator('fc', { ...input, bias: [2 ** 31] })).toThrow(/choose a smaller bias/);
    expect(() => checkAccumulator('fc', { ...input, bias: [Number.NaN] })).toThrow(/bias must be finite/);
  });

  test('bad input is refused', () => {
    const good = {
      weights: Int8Array.of(1, 2),
      channels: 2,
      inputRange: [0, 255] as const,
      inputZeroPoint: 0,
    };
    expect(() => accumulatorBound({ ...good, channels: 3 })).toThrow(/same number of codes/);
    expect(() => accumulatorBound({ ...good, inputZeroPoint: 256 })).toThrow(
      /zero point must lie in its range/,
    );
    expect(() => accumulatorBound({ ...good, bias: [1] })).toThrow(/bias must have one value/);
  });
});
