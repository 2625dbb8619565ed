import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import {
  fakeQuantize,
  type LinearQuantizeOptions,
  linearDequantize,
  linearQuantize,
} from '../../src/quantize/linear.ts';
import { chooseQparams, codeRange } from '../../src/quantize/qparams.ts';
import { roundHalfToEven } from '../../src/reference/round.ts';
import { firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Quantizes with plain loops: each element finds its segment by its coordinates, nothing is gathered. */
function plainly(values: Float32Array, options: LinearQuantizeOptions) {
  const { shape = [values.length], axis, groupSize } = options;
  const range = codeRange(options);
  const around = axis === undefined ? null : axis < 0 ? axis + shape.length : axis;
  const inner = around === null ? 1 : shape.slice(around + 1).reduce((a, b) => a * b, 1);
  const length = around === null ? values.length : shape[around];
  const blocks = groupSize === undefined ? 1 : Math.ceil(length / groupSize);
  const segmentOf = (i: number) => {
    const along = Math.floor(i / inner) % length;
    if (groupSize === undefined) return around === null ? 0 : along;
    const block = Math.floor(along / groupSize);
    return (Math.floor(i / inner / length) * blocks + block) * inner + (i % inner);
  };
  const low: number[] = [];
  const high: number[] = [];
  for (const [i, x] of values.entries()) {
    const s = segmentOf(i);
    low[s] = Math.min(low[s] ?? x, x);
    high[s] = Math.max(high[s] ?? x, x);
  }
  const { scale, zeroPoint } = chooseQparams(low, high, range);
  const codes = Array.from(values, (x, i) => {
    const s = segmentOf(i);
    const code = roundHalfToEven(Math.fround(x / scale[s])) + zeroPoint[s];
    return Math.min(Math.max(code, range.quantMin), range.quantMax);
  });
  const restored = Float32Array.from(
    codes,
    (code, i) => (code - zeroPoint[segmentOf(i)]) * scale[segmentOf(i)],
  );
  return { codes, scale, zeroPoint, restored };
}

async function expectPlain(values: Float32Array, options: LinearQuantizeOptions) {
  const actual = await linearQuantize(gpu.runtime, values, options);
  const expected = plainly(values, options);
  expect(firstDifference(actual.scale, expected.scale), 'scale').toBe(-1);
  expect([...actual.zeroPoint]).toEqual([...expected.zeroPoint]);
  expect(firstDifference(actual.codes, expected.codes), 'codes').toBe(-1);
  const restored = await linearDequantize(gpu.runtime, actual);
  expect(
    firstDifference(
      restored,
      expected.restored.map((x) => (x === 0 ? 0 : x)),
    ),
    'values',
  ).toBe(-1);
  return actual;
}

describe('linearQuantize', () => {
  for (const bits of [2, 3, 4, 5, 6, 7, 8]) {
    for (const scheme of ['symmetric', 'asymmetric'] as const) {
      for (const signed of [true, false]) {
        test(`width(bits=${bits},${scheme},${signed ? 'signed' : 'unsigned'})`, async () => {
          const values = seeded(bits)
            .floats(4321)
            .map((x) => x + 0.3);
          const options = { bits, scheme, signed };
          const { codes, scale, zeroPoint } = await expectPlain(values, options);
          expect(codes).toBeInstanceOf(signed ? Int8Array : Uint8Array);
          // Inside the range, quantizing errs by at most half a step.
          const restored = await fakeQuantize(gpu.runtime, values, options);
          const worst = values.reduce((most, x, i) => Math.max(most, Math.abs(x - restored[i])), 0);
          expect(worst).toBeLessThanOrEqual(scale[0] * (scheme === 'symmetric' ? 0.501 : 1.001));
          expect(scheme === 'symmetric' && signed ? zeroPoint[0] : 0).toBe(0);
          await expectPlain(values, { ...options, narrow: true });
        });
      }
    }
  }

  const shape = [6, 10, 3, 7];
  const granularities: Record<string, LinearQuantizeOptions> = {
    'per tensor': { bits: 8, shape },
    'per axis 0': { bits: 8, shape, axis: 0 },
    'per axis 2': { bits: 4, shape, axis: 2, scheme: 'asymmetric' },
    'per last axis': { bits: 8, shape, axis: -1 },
    'per group of the flattened tensor': { bits: 4, shape, groupSize: 36 },
    'per ragged group of the flattened tensor': { bits: 4, shape, groupSize: 32, scheme: 'asymmetric' },
    'per group longer than the tensor': { bits: 4, shape, groupSize: 10_000 },
    'blocked along the last axis, ragged': { bits: 4, shape, axis: 3, groupSize: 4 },
    'blocked along an inner axis': { bits: 4, shape, axis: 1, groupSize: 5, scheme: 'asymmetric' },
    'blocked along an inner axis, ragged': { bits: 8, shape, axis: 1, groupSize: 4 },
    'blocked along axis 0, one group': { bits: 8, shape, axis: 0, groupSize: 64 },
  };
  for (const [name, options] of Object.entries(granularities)) {
    test(name, async () => {
      await expectPlain(
        seeded(5)
          .floats(6 * 10 * 3 * 7)
          .map((x) => x * 3 - 0.5),
        options,
      );
    });
  }

  test('a range found in two passes', async () => {
    const values = seeded(6).floats(100_001);
    values[100_000] = 40;
    values[3] = -30;
    await expectPlain(values, { bits: 8, scheme: 'asymmetric' });
    await expectPlain(values.subarray(0, 100_000), { bits: 8, shape: [2, 50_000], axis: 0 });
  });

  test('an all-zero channel, zeros of both signs, subnormals and the largest values are results', async () => {
    const values = new Float32Array(6 * 8);
    values.set([-0, 0, -0, 0], 8);
    values.set([1e-45, -1e-45, 1e-39], 16);
    values.set([3.4028235e38, -3.4028235e38, 1], 24);
    values.set([1e-30, 1e30], 32);
    for (const scheme of ['symmetric', 'asymmetric'] as const) {
      const q = await expectPlain(values, { bits: 8, shape: [6, 8], axis: 0, scheme });
      expect((await linearDequantize(gpu.runtime, q)).subarray(0, 24).every((x) => x === 0)).toBe(true);
    }
    const { scale, codes } = await linearQuantize(gpu.runtime, values, { bits: 8, shape: [6, 8], axis: 0 });
    expect(scale[0]).toBe(1);
    expect([...codes.subarray(0, 8)]).toEqual(new Array(8).fill(0));
  });

  test('tiny channels keep every bit of their codes', async () => {
    const ordinary = seeded(8).floats(64);
    const expected = await linearQuantize(gpu.runtime, ordinary, { bits: 8 });
    for (const power of [-24, -60, -100, -118]) {
      const tiny = ordinary.map((x) => x * 2 ** power);
      for (const scheme of ['symmetric', 'asymmetric'] as const) await expectPlain(tiny, { bits: 8, scheme });
      const { codes, scale } = await linearQuantize(gpu.runtime, tiny, { bits: 8 });
      expect(codes).toEqual(expected.codes);
      expect(scale[0]).toBe(expected.scale[0] * 2 ** power);
    }
  });

  test('given scales and zero points are used', async () => {
    const values = Float32Array.of(0.05, 0.15, 0.25, -0.05, 100);
    const q = await linearQuantize(gpu.runtime, values, { bits: 8, scale: 0.1, zeroPoint: 3 });
    expect([...q.codes]).toEqual([3, 5, 5, 3, 127]);
    const [scale, zeroPoint] = [
      [0.1, 0.2],
      [1, -1],
    ];
    const rows = await linearQuantize(gpu.runtime, values.subarray(0, 4), {
      bits: 4,
      shape: [2, 2],
      axis: 0,
      scale,
      zeroPoint,
    });
    expect([...rows.codes]).toEqual([1, 3, 0, -1]);
  });

  test('a Tensor brings its shape', async () => {
    const tensor = { dtype: 'float32', dims: [2, 3], data: seeded(8).floats(6) } as const;
    expect((await linearQuantize(gpu.runtime, tensor, { bits: 8, axis: 1 })).scale).toHaveLength(3);
  });

  const nine = new Float32Array(9).fill(1);
  const at = (index: number, value: number) => nine.map((x, i) => (i === index ? value : x));
  const refusals: [string, Float32Array, Partial<LinearQuantizeOptions>, RegExp][] = [
    ['NaN', at(4, Number.NaN), {}, /finite; received "NaN at index 4"/],
    ['infinity', at(8, Number.NEGATIVE_INFINITY), {}, /finite; received "-Infinity at index 8"/],
    ['no elements', new Float32Array(0), {}, /at least one element; received 0/],
    [
      'a shape that does not fit',
      nine,
      { shape: [2, 4] },
      /product is the number of elements, 9; received \[2, 4\]/,
    ],
    ['a zero dimension', nine, { shape: [9, 0] }, /shape must be positive integers/],
    [
      'an axis too high',
      nine,
      { shape: [3, 3], axis: 2 },
      /axis must be an integer from -2 to 1; received 2/,
    ],
    [
      'an axis too low',
      nine,
      { shape: [3, 3], axis: -3 },
      /axis must be an integer from -2 to 1; received -3/,
    ],
    ['a fractional axis', nine, { axis: 0.5 }, /axis must be an integer/],
    ['groupSize 0', nine, { groupSize: 0 }, /groupSize must be a positive integer; received 0/],
    ['groupSize -4', nine, { groupSize: -4 }, /groupSize must be a positive integer; received -4/],
    ['bits 1', nine, { bits: 1 }, /bits must be an integer from 2 to 8; received 1/],
    ['bits 9', nine, { bits: 9 }, /bits must be an integer from 2 to 8; received 9/],
    ['bits 4.5', nine, { bits: 4.5 }, /bits must be an integer from 2 to 8; received 4.5/],
    ['an unknown scheme', nine, { scheme: 'affine' as never }, /scheme must be/],
    ['scale 0', nine, { scale: 0 }, /scale must be positive and finite in f32 \(index 0\); received 0/],
    ['a negative scale', nine, { shape: [3, 3], axis: 0, scale: [1, -1, 1] }, /\(index 1\); received -1/],
    ['a NaN scale', nine, { scale: Number.NaN }, /received NaN/],
    ['a scale below f32', nine, { scale: 1e-60 }, /received 0/],
    ['too few scales', nine, { shape: [3, 3], axis: 0, scale: [1, 1] }, /each of 3 segments; received 2/],
    [
      'a zero point outside',
      nine,
      { scale: 1, zeroPoint: 128 },
      /zeroPoint must be an integer from -128 to 127/,
    ],
    ['a fractional zero point', nine, { scale: 1, zeroPoint: 0.5 }, /zeroPoint must be an integer/],
    ['a zero point alone', nine, { zeroPoint: 1 }, /zeroPoint is used together with scale/],
    ['a plain array', [1, 2] as never, {}, /Float32Array or a float32 Tensor/],
  ];
  for (const [name, values, options, message] of refusals) {
    test(`refuses ${name}`, async () => {
      const refused = expect(linearQuantize(gpu.runtime, values, { bits: 8, ...options })).rejects;
      await refused.toThrow(message);
      await expect(linearQuantize(gpu.runtime, values, { bits: 8, ...options })).rejects.toBeInstanceOf(
        LloydError,
      );
    });
  }

  test('linearDequantize refuses what does not fit', async () => {
    const q = await linearQuantize(gpu.runtime, nine, { bits: 8, shape: [3, 3], axis: 0 });
    const wrong = (fields: object) => expect(linearDequantize(gpu.runtime, { ...q, ...fields })).rejects;
    await wrong({ shape: [4, 3] }).toThrow(/shape/);
    await wrong({ scale: q.scale.subarray(0, 2) }).toThrow(/3 segments; received 2/);
    await wrong({ codes: new Float32Array(9) }).toThrow(/codes must be/);
  });

  test('the same call twice gives the same bits', async () => {
    const values = seeded(9).floats(50_000);
    const [a, b] = [1, 2].map(() => linearQuantize(gpu.runtime, values, { bits: 4, groupSize: 32 }));
    expect(await a).toEqual(await b);
  });
});
