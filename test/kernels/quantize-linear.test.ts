import { describe, expect, test } from 'vitest';
import { quantizeLinearKernel } from '../../src/kernels/quantize-linear.ts';
import { packCodes } from '../../src/reference/pack-codes.ts';
import { type ChannelLayout, quantizeLinear } from '../../src/reference/quantize-linear.ts';
import { roundHalfToEven } from '../../src/reference/round.ts';
import { aroundTies, dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Case {
  input: Float32Array;
  scale: number[];
  zeroPoint: number[];
  layout?: ChannelLayout;
  bits?: 2 | 4 | 8;
  range?: [number, number];
  workgroupSize?: number;
}

async function mismatch(c: Case, twin = quantizeLinear): Promise<number> {
  const { input, bits = 8, range = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], workgroupSize = 64 } = c;
  const layout = c.layout ?? { axisSize: 1, axisStride: input.length };
  const scale = Float32Array.from(c.scale);
  const { output } = await dispatch(
    gpu.runtime,
    quantizeLinearKernel,
    { input, scale, zeroPoint: Int32Array.from(c.zeroPoint) },
    { output: Math.ceil((input.length * bits) / 32) * 4 },
    { count: input.length, ...layout },
    { BITS: bits, QUANT_MIN: range[0], QUANT_MAX: range[1], WORKGROUP_SIZE: workgroupSize },
  );
  const expected = packCodes(twin(input, scale, c.zeroPoint, layout, ...range), bits);
  return firstDifference(new Uint32Array(output), expected);
}

/** The specials of f32: both zeros, subnormals, the smallest and largest normals, infinities. */
const SPECIALS = Float32Array.of(
  0,
  -0,
  1e-45,
  -1e-45,
  5.9e-39,
  -5.9e-39,
  1.1754942e-38,
  1.1754944e-38,
  3.4028235e38,
  -3.4028235e38,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -1.5,
  2.5,
  -2.5,
); // prettier-ignore

describe('quantize-linear', () => {
  for (const bits of [2, 4, 8] as const) {
    for (const count of [1, 3, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025]) {
      test(`tail(bits=${bits},count=${count})`, async () => {
        expect(await mismatch({ input: seeded(count).ties(count), scale: [0.5], zeroPoint: [1], bits })).toBe(
          -1,
        );
      });
    }
  }

  test('tie-heavy grids with odd zero points, signed and unsigned', async () => {
    const random = seeded(7);
    for (const [range, zeroPoint] of [
      [[-128, 127], -3],
      [[0, 255], 131],
      [[-127, 127], 5],
      [[-8, 7], 1],
    ] as const) {
      for (const scale of [0.1, 0.5, 1 / 3, 0.0078125, 3.7e-9, 123.456]) {
        const input = random.ties(4096, scale / 2, 600);
        expect(await mismatch({ input, scale: [scale], zeroPoint: [zeroPoint], range: [...range] })).toBe(-1);
      }
    }
  });

  test('values within an ULP of every tie, for 200 scales', async () => {
    const random = seeded(11);
    const scales = Float32Array.from(
      { length: 200 },
      () => 2 ** random.integer(-30, 30) * (1 + random.next()),
    );
    const rows = [...scales].map((scale) => aroundTies(scale, -260, 260));
    const input = new Float32Array(rows.length * rows[0].length);
    for (const [i, row] of rows.entries()) input.set(row, i * row.length);
    const layout = { axisSize: 200, axisStride: rows[0].length };
    const zeroPoint = Array.from({ length: 200 }, (_, i) => (i % 101) - 50);
    expect(await mismatch({ input, scale: [...scales], zeroPoint, layout })).toBe(-1);
  });

  test('any bits of f32 over any scale, subnormal ones too', async () => {
    const random = seeded(13);
    const bits = Uint32Array.from({ length: 60_000 }, () => random.next() * 2 ** 32);
    const input = new Float32Array(bits.buffer).map((x) => (Number.isNaN(x) ? 1 : x));
    const scaleBits = Uint32Array.from({ length: 600 }, () => 1 + random.next() * 0x7f7ffffe);
    const scale = [...new Float32Array(scaleBits.buffer)];
    // Half of the values near their scale: anything else is 0 or saturated.
    for (let i = 0; i < input.length; i += 2)
      input[i] = scale[Math.floor(i / 100)] * random.integer(-300, 300) * 0.5;
    const layout = { axisSize: 600, axisStride: 100 };
    expect(await mismatch({ input, scale, zeroPoint: scale.map(() => 1), layout })).toBe(-1);
  });

  test('zeros, subnormals, the largest values and infinities', async () => {
    for (const scale of [1, 1e-38, 1e-44, 1e38]) {
      expect(await mismatch({ input: SPECIALS, scale: [scale], zeroPoint: [3] })).toBe(-1);
    }
  });

  test('per axis, per inner axis and per ragged group', async () => {
    const random = seeded(17);
    const input = random.floats(5 * 7 * 9);
    const qparams = (n: number) => ({
      scale: Array.from({ length: n }, (_, i) => 0.01 + 0.003 * i),
      zeroPoint: Array.from({ length: n }, (_, i) => i - 3),
    });
    for (const layout of [
      { axisSize: 5, axisStride: 63 },
      { axisSize: 7, axisStride: 9 },
      { axisSize: 9, axisStride: 1 },
      { axisSize: Math.ceil(315 / 32), axisStride: 32 },
      { axisSize: 105, axisStride: 3 },
    ]) {
      expect(await mismatch({ input, layout, ...qparams(layout.axisSize) })).toBe(-1);
      expect(await mismatch({ input, layout, ...qparams(layout.axisSize), bits: 4, range: [-8, 7] })).toBe(
        -1,
      );
    }
  });

  test('an all-zero channel and one outlier', async () => {
    const input = new Float32Array(256);
    input[200] = 1e30;
    const layout = { axisSize: 2, axisStride: 128 };
    expect(await mismatch({ input, scale: [5e-7 / 127, 1e30 / 127], zeroPoint: [0, 0], layout })).toBe(-1);
  });

  test('more than 65,535 workgroups are folded into y', async () => {
    const input = seeded(19).ties(65_537 * 32 * 4 + 5);
    expect(await mismatch({ input, scale: [0.5], zeroPoint: [7], workgroupSize: 32 })).toBe(-1);
  });

  test('known-wrong rules are told apart', async () => {
    const clamp = (q: number, low: number, high: number) => Math.min(Math.max(q, low), high);
    const wrong =
      (rule: (x: number, s: number, z: number) => number): typeof quantizeLinear =>
      (input, scale, zeroPoint, _, low, high) =>
        Int32Array.from(input, (x) => clamp(rule(x, scale[0], zeroPoint[0]), low, high));
    const halfAway = (x: number) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
    const wrongs = {
      'zero point before rounding': wrong((x, s, z) => roundHalfToEven(x / s + z)),
      'multiplying by the reciprocal': wrong(
        (x, s, z) => roundHalfToEven(Math.fround(x * Math.fround(1 / s))) + z,
      ),
      'half away from zero': wrong((x, s, z) => halfAway(Math.fround(x / s)) + z),
      'float64 quotient': wrong((x, s, z) => roundHalfToEven(x / s) + z),
      'tail off by one': (input, ...rest) => quantizeLinear(input.subarray(0, input.length - 1), ...rest),
    } satisfies Record<string, typeof quantizeLinear>;
    const c: Case = { input: seeded(23).ties(4097, 0.05, 200), scale: [0.1], zeroPoint: [3] };
    expect(await mismatch(c)).toBe(-1);
    for (const [name, twin] of Object.entries(wrongs)) expect(await mismatch(c, twin), name).not.toBe(-1);
  });
});
