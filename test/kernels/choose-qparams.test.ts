import { describe, expect, test } from 'vitest';
import { chooseQparamsKernel } from '../../src/kernels/choose-qparams.ts';
import { type CodeRange, chooseQparams } from '../../src/reference/choose-qparams.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function mismatch(
  minimum: Float32Array,
  maximum: Float32Array,
  range: CodeRange,
  twin = chooseQparams,
) {
  const count = minimum.length;
  const { scale, zeroPoint } = await dispatch(
    gpu.runtime,
    chooseQparamsKernel,
    { minimum, maximum },
    { scale: count * 4, zeroPoint: count * 4 },
    { count },
    { QUANT_MIN: range.quantMin, QUANT_MAX: range.quantMax, SYMMETRIC: range.symmetric ? 1 : 0 },
  );
  const expected = twin(minimum, maximum, range);
  return Math.max(
    firstDifference(new Float32Array(scale), expected.scale),
    firstDifference(new Int32Array(zeroPoint), expected.zeroPoint),
  );
}

function ranges(count: number, seed: number) {
  const random = seeded(seed);
  const minimum = new Float32Array(count);
  const maximum = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const size = 2 ** (i % 5 ? random.integer(-24, 24) : random.integer(-150, 110));
    // Widths that are whole codes put the zero point on ties.
    const [a, b] =
      i % 2 ? [random.normal(), random.normal()] : [-random.integer(0, 255) / 2, random.integer(0, 255) / 2];
    minimum[i] = Math.min(a, b) * size;
    maximum[i] = Math.max(a, b) * size;
  }
  const specials = [
    [0, 0],
    [-0, 0],
    [1e-45, 2e-45],
    [-1e-40, 1e-39],
    [-3.4028235e38, 3.4028235e38],
    [5, 5],
    [-5, -5],
    [0, 1e-7],
    [0, 1e-45],
    [-1e-45, -0],
    [-1e-36, 2e-36],
    [-3e-37, 1e-44],
    [0, 1.17549435e-38 * 127],
    [-1.17549435e-38, 1.17549435e-38 * 254],
  ];
  for (const [i, [low, high]] of specials.slice(0, count).entries()) [minimum[i], maximum[i]] = [low, high];
  return [minimum, maximum] as const;
}

describe('choose-qparams', () => {
  for (const symmetric of [true, false]) {
    for (const [quantMin, quantMax] of [
      [-128, 127],
      [-127, 127],
      [0, 255],
      [1, 255],
      [-8, 7],
      [0, 15],
      [-2, 1],
      [0, 3],
      [-64, 63],
    ]) {
      test(`range(${quantMin}..${quantMax},${symmetric ? 'symmetric' : 'asymmetric'})`, async () => {
        const [minimum, maximum] = ranges(5000, quantMax + 1);
        expect(await mismatch(minimum, maximum, { quantMin, quantMax, symmetric })).toBe(-1);
      });
    }
  }

  for (const count of [1, 63, 64, 65]) {
    test(`tail(count=${count})`, async () => {
      const [minimum, maximum] = ranges(count, 3);
      expect(await mismatch(minimum, maximum, { quantMin: -128, quantMax: 127, symmetric: false })).toBe(-1);
    });
  }

  test('known-wrong choices are told apart', async () => {
    const range = { quantMin: -128, quantMax: 127, symmetric: false };
    const [minimum, maximum] = ranges(5000, 4);
    const wrongs: Record<string, typeof chooseQparams> = {
      'float64 throughout': (low, high, { quantMin, quantMax }) => {
        const scale = Array.from(
          low,
          (_, i) => (Math.max(high[i], 0) - Math.min(low[i], 0)) / (quantMax - quantMin) || 1,
        );
        const zeroPoint = Int32Array.from(scale, (s, i) => Math.round(quantMin - Math.min(low[i], 0) / s));
        return { scale: Float32Array.from(scale), zeroPoint };
      },
      'range not widened': (low, high, r) => {
        const q = chooseQparams(low, high, r);
        return { ...q, scale: q.scale.map((_, i) => Math.max(high[i] - low[i], 2 ** -126) / 255) };
      },
      'a floor of 5e-7': (low, high, r) => {
        const q = chooseQparams(low, high, r);
        return { ...q, scale: q.scale.map((s) => Math.max(s, 5e-7 / 255)) };
      },
    };
    for (const [name, twin] of Object.entries(wrongs))
      expect(await mismatch(minimum, maximum, range, twin), name).not.toBe(-1);
  });
});
