import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import type { Step } from '../../src/graph/ops/plan.ts';
import { addInt8 } from '../../src/kernels/add-int8.ts';
import { prepareAdd } from '../../src/quantize/add.ts';
import { addInt8Reference } from '../../src/reference/add-int8.ts';
import type { RequantizeRule } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { f32 } from '../support/onnx-tensors.ts';
import { randomTensor, stepApart } from '../support/planned.ts';
import { seeded, testUnlessSlow, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** int8 tensors; `period` is how often b repeats. */
async function add(
  rule: RequantizeRule,
  count: number,
  period: number,
  seed: number,
  workgroup = 64,
  scales?: readonly number[],
) {
  const random = seeded(seed);
  const scale = () => Math.fround(seed % 2 ? 2 ** -random.integer(2, 5) : 0.02 + random.next() * 0.2);
  const qparams = (given?: number) => ({
    scale: given ?? scale(),
    zeroPoint: 2 * random.integer(-30, 30) + 1,
  });
  const [p, q, y] = [0, 1, 2].map((i) => qparams(scales && Math.fround(scales[i])));
  const [a, b] = [random.int8s(count), random.int8s(period)];
  const { ADD, words } = prepareAdd(
    rule,
    [p.scale, q.scale, y.scale],
    [p.zeroPoint, q.zeroPoint, y.zeroPoint],
  );
  const params = {
    ...{ count, aCount: count, bCount: period, aFlip: 128, bFlip: 128, aShift: 128, bShift: 128 },
    ...{
      aZero: p.zeroPoint + 128,
      bZero: q.zeroPoint + 128,
      zeroPoint: y.zeroPoint,
      low: -128,
      high: 127,
      ...words,
    },
  };
  const { output } = await dispatch(gpu.runtime, addInt8, { a, b }, { output: count }, params, {
    ADD,
    REQUANTIZE: rule === 'tflite-single' ? '4u' : '3u',
    WORKGROUP_SIZE: workgroup,
  });
  const table = new Map<number, number>();
  const expected = Array.from(a, (code, i) => {
    const pair = code * 256 + b[i % period];
    const known = table.get(pair);
    if (known !== undefined) return known;
    const sum = addInt8Reference(rule, code, b[i % period], p, q, { ...y, low: -128, high: 127 });
    table.set(pair, sum);
    return sum;
  });
  return firstDifference(new Int8Array(output), expected);
}

describe('add-int8', () => {
  for (const rule of requantizeRules) {
    test(`${rule} has its twin's codes`, async () => {
      for (const count of [1, 3, 4, 5, 255, 256, 257]) expect(await add(rule, count, count, count)).toBe(-1);
      for (let seed = 0; seed < 12; seed++)
        expect(await add(rule, 5000, seed % 3 ? 5000 : 50, seed, 256)).toBe(-1);
    });
  }

  test.each(requantizeRules)("%s has its twin's codes where scales are 900 times apart", async (rule) => {
    for (const scales of [
      [0.0045, 3.9, 4.1],
      [3.9, 0.0045, 4.1],
      [3.9, 4.1, 0.5],
    ]) {
      expect(await add(rule, 5000, 5000, 3, 64, scales)).toBe(-1);
    }
  });

  test("XNNPACK's multipliers round to nearest, ties to even", () => {
    const words = (ratio: number) => prepareAdd('xnn-rndnu', [ratio, 1, 1], [0, 0, 0]).words;
    expect(words(1 + 2 ** -21)).toEqual(words(1));
    expect(words(1 + 2 ** -21 + 2 ** -23)).toEqual(words(1 + 2 ** -20));
    expect(words(1 + 3 * 2 ** -21)).toEqual(words(1 + 2 ** -19));
    expect(words(1 + 2 ** -20)).not.toEqual(words(1));
  });

  testUnlessSlow('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await add('lab', 65_536 * 128 + 9, 1000, 5, 32)).toBe(-1);
  });

  test("XNNPACK's rule refuses scales it does not cover", () => {
    expect(() => prepareAdd('xnn-rndnu', [1, 2 ** -12, 1], [0, 0, 0])).toThrow(/from 2\^-10 to 2\^8/);
    expect(() => prepareAdd('lab', [1, 0, 1], [0, 0, 0])).toThrow(/positive and finite; received 0/);
  });

  test.each(requantizeRules)('%s adds codes of a word each as its twin does', async (requantize) => {
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const [seed, dims] of [
        [[40, 13]],
        [
          [3, 1, 9],
          [5, 1],
        ],
        [[7], [4, 7]],
        [[1], [65]],
      ].entries()) {
        const random = seeded(seed);
        const [a, b = a] = dims;
        const zero = () => ({ ...randomTensor(random, dtype, []) });
        const scale = () => f32(seed % 2 ? 2 ** -random.integer(2, 5) : 0.02 + random.next() * 0.2);
        const inputs = [
          ...[randomTensor(random, dtype, a), scale(), zero()],
          ...[randomTensor(random, dtype, b), scale(), zero(), scale(), zero()],
        ];
        const spec = { operator: 'QLinearAdd', inputs, attributes: {}, requantize };
        expect(await stepApart(gpu.runtime, spec)).toBe(null);
        const wrong = (step: Step) =>
          step.kernel === addInt8 ? { ...step, params: { ...step.params, high: 1 } } : step;
        expect(await stepApart(gpu.runtime, spec, 0, wrong)).not.toBe(null);
      }
    }
  });
});
