import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import type { Step } from '../../src/graph/ops/plan.ts';
import { concatInt8 } from '../../src/kernels/concat-int8.ts';
import { prepareConcat } from '../../src/quantize/concat.ts';
import { rescaleReference } from '../../src/reference/concat-int8.ts';
import type { RequantizeRule } from '../../src/reference/requantize.ts';
import { firstDifference } from '../support/dispatch.ts';
import { f32 } from '../support/onnx-tensors.ts';
import { randomTensor, stepApart } from '../support/planned.ts';
import { guardedOutput, seeded, testUnlessSlow, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Options {
  workgroup?: number;
  /** Every scale is the output's. */
  equal?: boolean;
  /** Inputs whose rows are padded to whole words, as a model's activations are. */
  padded?: boolean;
  twin?: typeof rescaleReference;
}

/** Places uint8 inputs one after the other in an output that holds garbage before. */
async function mismatch(
  rule: RequantizeRule,
  rows: number,
  lengths: number[],
  seed: number,
  { workgroup = 64, equal = false, padded = false, twin = rescaleReference }: Options = {},
) {
  const random = seeded(seed);
  const scale = () => Math.fround(seed % 2 ? 2 ** -random.integer(2, 5) : 0.02 + random.next() * 0.2);
  const y = { scale: scale(), zeroPoint: 7, low: 0, high: 255 };
  const parts = lengths.map((length) => {
    const stride = padded ? Math.ceil(length / 4) * 4 : length;
    return {
      codes: Uint8Array.from({ length: rows * stride }, () => random.integer(0, 255)),
      length,
      stride,
      scale: equal ? y.scale : scale(),
      zeroPoint: random.integer(0, 255),
    };
  });
  const row = lengths.reduce((sum, length) => sum + length, 0);
  const outputWords = Math.ceil(row / 4);
  const output = guardedOutput(gpu.runtime, rows * outputWords * 4);
  await gpu.runtime.scope(async ({ upload, keep }) => {
    let start = 0;
    const calls = [];
    for (const { codes, length, stride, scale: own, zeroPoint: zero } of parts) {
      const place = { start, length };
      const { specialization, params } = await prepareConcat(gpu.runtime, rule, own, y.scale, place);
      const kernel = await concatInt8.create(gpu.runtime.device, {
        ...specialization,
        WORKGROUP_SIZE: workgroup,
      });
      const common = { rows, inputStride: stride, outputWords, flip: 0, zero };
      const bounds = { zeroPoint: y.zeroPoint, low: y.low, high: y.high };
      calls.push(
        keep(
          kernel.bind({ input: upload(codes), output: output.slice }, { ...common, ...bounds, ...params }),
        ),
      );
      start += length;
    }
    gpu.runtime.submit(calls);
  });
  const expected = new Uint8Array(rows * outputWords * 4);
  for (let r = 0; r < rows; r++) {
    let at = r * outputWords * 4;
    for (const { codes, length, stride, ...own } of parts)
      for (let i = 0; i < length; i++) expected[at++] = twin(rule, codes[r * stride + i], own, y);
  }
  return firstDifference(new Uint8Array(await output.read()), expected);
}

describe('concat-int8', () => {
  for (const rule of requantizeRules) {
    test(`${rule} has its twin's codes`, async () => {
      for (const length of [1, 3, 4, 5, 64, 255])
        expect(await mismatch(rule, 3, [length, 2, 7], length)).toBe(-1);
      expect(await mismatch(rule, 40, [33, 65, 1, 20], 3, { workgroup: 256 })).toBe(-1);
      expect(await mismatch(rule, 40, [33, 65, 1, 20], 2, { padded: true })).toBe(-1);
      expect(await mismatch(rule, 1, [256], 4)).toBe(-1);
    });

    test(`${rule} moves codes of the output's own scale as its twin does`, async () => {
      for (const seed of [1, 2, 3, 4, 6, 8])
        expect(await mismatch(rule, 9, [5, 6, 256], seed, { equal: true })).toBe(-1);
    });
  }

  testUnlessSlow('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await mismatch('ort-f32', 65_536, [131, 6], 5, { workgroup: 32 })).toBe(-1);
  });

  test('known-wrong concatenations are told apart', async () => {
    const wrongs: Record<string, typeof rescaleReference> = {
      'the zero point added before rounding': (_, ...rest) => rescaleReference('lab', ...rest),
      'ties away from zero': (_, ...rest) => rescaleReference('tflite-double', ...rest),
      'the zero point forgotten': (rule, code, own, y) =>
        rescaleReference(rule, code, { ...own, zeroPoint: 0 }, y),
    };
    for (const [name, twin] of Object.entries(wrongs)) {
      let caught = false;
      for (let seed = 1; seed < 20; seed += 2) {
        caught ||= (await mismatch('ort-f32', 8, [256, 256], seed, { twin })) !== -1;
      }
      expect(caught, name).toBe(true);
    }
  });

  test.each(requantizeRules)('%s places codes of a word each as its twin does', async (requantize) => {
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const axis of [0, 1, 2]) {
        const random = seeded(axis);
        const zero = () => randomTensor(random, dtype, []);
        const part = (length: number, scale: number) => [
          randomTensor(
            random,
            dtype,
            [3, 4, 5].map((size, d) => (d === axis ? length : size)),
          ),
          ...[f32(scale), zero()],
        ];
        const inputs = [
          f32(0.25),
          zero(),
          ...part(7, 0.125),
          ...part(1, 0.25),
          ...part(0, 1),
          ...part(6, 0.07),
        ];
        const spec = { operator: 'QLinearConcat', inputs, attributes: { axis }, requantize };
        expect(await stepApart(gpu.runtime, spec)).toBe(null);
        const wrong = (step: Step) => ({ ...step, params: { ...step.params, zero: step.params.zero + 1 } });
        expect(await stepApart(gpu.runtime, spec, 0, wrong)).not.toBe(null);
      }
    }
  });
});
