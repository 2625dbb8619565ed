import { describe, expect, test } from 'vitest';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/conv/requantize.ts';
import { requantize } from '../../src/kernels/requantize.ts';
import { type RequantizeRule, requantizeReference } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { kernelForRule, REQUANTIZE_CHOICES } from '../support/requantize.ts';
import { seeded, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const COUNT = THOROUGH ? 1_000_000 : 100_000;

/** Zero points and ranges, each for its share of the pairs; the wide range shows the last bits of large results. */
const outputs = [
  [-(2 ** 23) + 1, 2 ** 23 - 1],
  [-128, 127],
].flatMap(([low, high]) => [0, 3, -128, 127].map((zeroPoint) => ({ zeroPoint, low, high })));

describe('requantize', () => {
  for (const rule of requantizeRules) {
    for (const value of REQUANTIZE_CHOICES[rule]) {
      test(`${rule} (${value}) has the codes of its formula`, async () => {
        const { runtime } = gpu;
        if ((value === '0u' || value === '6u') && (await requantizeConstant(runtime, rule)) !== value) {
          return console.log(
            `${rule}: native f32 is not bit-equal on ${runtime.adapter.name}, so it is not used`,
          );
        }
        const wrong: unknown[] = [];
        for (const [chunk, output] of outputs.entries()) {
          const cases = randomCases(rule, COUNT / outputs.length, chunk);
          const codes = await kernelForRule(runtime, value, cases, output);
          for (let i = 0; i < codes.length && wrong.length < 5; i++) {
            const accumulator = cases.accumulators[i];
            const settings = { ...cases.settings(i), ...output };
            const expected = requantizeReference(rule, accumulator, settings);
            if (codes[i] !== expected) wrong.push({ accumulator, ...settings, code: codes[i], expected });
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  }
});

test('lab: the product is rounded before the zero point is added', async () => {
  const random = seeded(19);
  const accumulators: number[] = [];
  const multipliers: number[] = [];
  const [whole, zeroPoint] = [3, 99];
  // Half a last bit of the sum above a half-integer: the rounded product makes a tie of it, a fused one does not.
  const target = whole + 0.5 + 2 ** -18;
  while (accumulators.length < 500) {
    const accumulator = random.integer(5000, 2 ** 20);
    const multiplier = Math.fround(target / accumulator);
    const product = accumulator * multiplier;
    if (Math.fround(product) !== target || product <= target) continue;
    accumulators.push(accumulator);
    multipliers.push(multiplier);
  }
  const expected = accumulators.map(() => 102);
  const fused = accumulators.map((sum, i) => Math.round(Math.fround(sum * multipliers[i] + zeroPoint)));
  expect(firstDifference(fused, expected)).toBe(0);
  const words = new Uint32Array(multipliers.length * 2);
  words.set(multipliers.flatMap((m) => [new Uint32Array(Float32Array.of(m).buffer)[0], 0]));
  const cases = { accumulators: Int32Array.from(accumulators), multipliers: words };
  for (const value of REQUANTIZE_CHOICES.lab) {
    const codes = await kernelForRule(gpu.runtime, value, cases, { zeroPoint, low: -128, high: 127 });
    expect([...codes], value).toEqual(expected);
  }
});

/** Accumulators of every size and multipliers of every size, half of them powers of two, so that ties abound. */
function randomCases(rule: RequantizeRule, count: number, seed: number) {
  const random = seeded(7 + seed);
  const accumulators = new Int32Array(count);
  const scales = new Float32Array(count * 3);
  const multipliers = new Uint32Array(count * 2);
  const extremes = [
    0,
    1,
    -1,
    2 ** 31 - 1,
    -(2 ** 31),
    2 ** 24 + 1,
    -(2 ** 24) - 1,
    3,
    -3,
    2 ** 30,
    -(2 ** 30),
  ];
  for (let i = 0; i < count; i++) {
    const size = random.integer(1, 31);
    accumulators[i] =
      i % 97 < extremes.length ? extremes[i % 97] : Math.floor((random.next() * 2 - 1) * 2 ** size);
    const exponent = i % 31 === 0 ? random.integer(-40, 40) : random.integer(-24, 8) - (i % 3 ? size - 8 : 0);
    const fraction = i % 2 ? 1 : 1 + random.next();
    const input = 2 ** random.integer(-9, 3) * (i % 4 ? 1 : 1 + random.next());
    const output = 2 ** random.integer(-9, 3) * (i % 5 ? 1 : 1 + random.next());
    scales.set([input, (2 ** exponent * fraction * output) / input, output], i * 3);
    multipliers.set(
      prepareMultipliers(rule, scales[i * 3], scales.subarray(i * 3 + 1, i * 3 + 2), scales[i * 3 + 2]),
      i * 2,
    );
  }
  const settings = (i: number) => ({
    inputScale: scales[i * 3],
    weightScale: scales[i * 3 + 1],
    outputScale: scales[i * 3 + 2],
  });
  return { accumulators, multipliers, settings };
}

test('native f32 is bit-equal on lavapipe, so that its codes are compared there', async () => {
  // A native path that were wrong would be given up for the exact one, and its own test with it.
  if (gpu.runtime.adapter.software !== 'lavapipe') return console.log('not lavapipe: the adapter decides');
  expect(await requantizeConstant(gpu.runtime, 'ort-f32')).toBe('0u');
  expect(await requantizeConstant(gpu.runtime, 'lab')).toBe('6u');
});

describe('requantize, packed', () => {
  for (const count of [1, 3, 4, 5, 255, 256, 257]) {
    test(`tail(count=${count})`, async () => {
      const accumulators = Int32Array.from(seeded(count).ties(count, 3, 4000));
      const multipliers = prepareMultipliers('xnn-rndnu', 0.5, Float32Array.of(0.25, 0.125, 0.3), 8);
      const params = { count, channels: 3, channelStride: 2, zeroPoint: 3, low: 0, high: 255 };
      const inputs = { accumulators, multipliers };
      const constants = { REQUANTIZE: '5u', PACKED: '1u' };
      const { codes } = await dispatch(gpu.runtime, requantize, inputs, { codes: count }, params, constants);
      const expected = Array.from(accumulators, (accumulator, i) => {
        const weightScale = [0.25, 0.125, 0.3][(i >> 1) % 3];
        const settings = { inputScale: 0.5, weightScale, outputScale: 8, zeroPoint: 3, low: 0, high: 255 };
        return requantizeReference('xnn-rndnu', accumulator, settings);
      });
      expect(firstDifference(new Uint8Array(codes), expected)).toBe(-1);
    });
  }

  test('bad input is refused', () => {
    expect(() => prepareMultipliers('fast' as 'lab', 1, Float32Array.of(1), 1)).toThrow(
      /requantize must be one of/,
    );
    expect(() => prepareMultipliers('lab', 0, Float32Array.of(1), 1)).toThrow(
      /inputScale must be a positive finite float32; received 0/,
    );
    expect(() => prepareMultipliers('lab', 1, Float32Array.of(1, Number.NaN), 1)).toThrow(
      /weightScale .*received NaN/,
    );
    expect(() => prepareMultipliers('lab', 1e30, Float32Array.of(1e30), 1)).toThrow(/must fit float32/);
  });
});

test('onnx-ref rounds the sum with the zero point to 53 bits, as float64 does', async () => {
  // accumulator * mantissa close to 2^53, so the product close to 1/2: the zero point pushes those units out of the sum.
  const count = THOROUGH ? 1_000_000 : 100_000;
  const random = seeded(11);
  const accumulators = new Int32Array(count);
  const scales = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const mantissa = random.integer(2 ** 23, 2 ** 24 - 1);
    const nearest = Math.round(2 ** 53 / mantissa);
    accumulators[i] = (nearest + random.integer(0, 1)) * (i % 2 ? 1 : -1);
    scales[i] = mantissa * 2 ** -54;
  }
  const multipliers = new Uint32Array(count * 2);
  for (let i = 0; i < count; i++)
    multipliers.set(prepareMultipliers('onnx-ref', 1, scales.subarray(i, i + 1), 1), i * 2);
  let rounded = 0;
  for (const zeroPoint of [30001, -30002, 127, -3, 1, 0]) {
    const output = { zeroPoint, low: -32768, high: 32767 };
    const codes = await kernelForRule(gpu.runtime, '2u', { accumulators, multipliers }, output);
    const expected = Array.from(accumulators, (accumulator, i) => {
      const settings = { inputScale: 1, weightScale: scales[i], outputScale: 1, ...output };
      const code = requantizeReference('onnx-ref', accumulator, settings);
      // Near +-1/2, the exact sum lies above or below the tie as the product does.
      const exact = Math.abs(accumulator * scales[i]) > 0.5 ? Math.sign(accumulator) : 0;
      if (accumulator * scales[i] !== 0.5 * Math.sign(accumulator) && code !== zeroPoint + exact) rounded++;
      return code;
    });
    expect(firstDifference(codes, expected)).toBe(-1);
  }
  expect(rounded, 'sums that float64 rounded to a tie').toBeGreaterThan(100);
});

test('onnx-ref rounds the product to 53 bits before it rounds to an integer, as float64 does', async () => {
  // accumulator * mantissa = an odd multiple of half a code plus or minus one unit, in 54 or 55 bits: the product's
  // own rounding takes the unit away, and a tie is left that the exact product is not.
  const count = THOROUGH ? 200_000 : 20_000;
  const random = seeded(12);
  const accumulators = new Int32Array(count);
  const scales = new Float32Array(count);
  const above = new Int8Array(count);
  for (let i = 0; i < count; i++) {
    const mantissa = random.integer(2 ** 22, 2 ** 23 - 1) * 2 + 1;
    // Newton's iteration: each step doubles the bits of the inverse modulo a power of two.
    let inverse = BigInt(mantissa);
    for (let step = 0; step < 5; step++) inverse *= 2n - BigInt(mantissa) * inverse;
    above[i] = i % 4 < 2 ? 1 : -1;
    accumulators[i] = Number(BigInt.asUintN(31, (2n ** 30n + BigInt(above[i])) * inverse)) * (i % 2 ? 1 : -1);
    scales[i] = mantissa * 2 ** -31;
  }
  const multipliers = new Uint32Array(count * 2);
  for (let i = 0; i < count; i++)
    multipliers.set(prepareMultipliers('onnx-ref', 1, scales.subarray(i, i + 1), 1), i * 2);
  for (const zeroPoint of [0, 3, -128]) {
    const output = { zeroPoint, low: -(2 ** 23) + 1, high: 2 ** 23 - 1 };
    const codes = await kernelForRule(gpu.runtime, '2u', { accumulators, multipliers }, output);
    let rounded = 0;
    const expected = Array.from(accumulators, (accumulator, i) => {
      const settings = { inputScale: 1, weightScale: scales[i], outputScale: 1, ...output };
      const code = requantizeReference('onnx-ref', accumulator, settings);
      // The unit's side decides where nothing is rounded before.
      const product = BigInt(Math.abs(accumulator)) * BigInt(scales[i] * 2 ** 31);
      const exact = Number(product >> 31n) + (above[i] > 0 ? 1 : 0);
      if (code !== Math.sign(accumulator) * exact + zeroPoint && Math.abs(code) < 2 ** 23 - 1) rounded++;
      return code;
    });
    expect(firstDifference(codes, expected)).toBe(-1);
    expect(rounded, 'products that float64 rounded to a tie').toBeGreaterThan(100);
  }
});
