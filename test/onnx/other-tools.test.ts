// Files that are written here in tools that are not ours: onnx-proto decodes them, ONNX Runtime's WebAssembly runs them.
import { describe, expect, test } from 'vitest';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { readOnnx, type WriteOnnxOptions, writeOnnx } from '../../src/onnx/index.ts';
import { topOne } from '../../src/run/metrics.ts';
import { type QuantizeModelOptions, quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import * as models from '../support/onnx-models.ts';
import { decodedTerms, modelTerms, onnxProto, onnxRuntimeWeb } from '../support/other-tools.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { residualModel, smallModel } from '../support/small-model.ts';

const gpu = useRuntime();
const [decode, web] = [await onnxProto(), await onnxRuntimeWeb()];
console.log(
  `onnx-proto ${decode ? 'decodes' : 'is skipped'}, ONNX Runtime Web ${web ? 'runs' : 'is skipped'}`,
);

/** Largest distance as a part of the largest value. */
function apart(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0) / (largest || 1);
}

const QUANTIZED: readonly (readonly [bits: number, form: WriteOnnxOptions, tolerance: number])[] = [
  [8, { format: 'qdq' }, 0.03],
  [8, { format: 'qdq', activationType: 'uint8', weightType: 'uint8' }, 0.03],
  [8, { format: 'qoperator' }, 0.03],
  // What ONNX Runtime's build for x86 multiplies with sums that saturate is exact here.
  [8, { format: 'qoperator', activationType: 'uint8' }, 0.03],
  [4, { format: 'qdq', opset: 21 }, 0.03],
  [4, { format: 'codebook' }, 1e-5],
  [2, { format: 'codebook' }, 1e-5],
];

describe.each([
  ['a chain with batch norms and pools', smallModel()],
  ['a residual network', residualModel()],
])('%s', (_, model) => {
  const random = seeded(7);
  const images = Uint8Array.from({ length: 16 * 192 }, () => random.integer(0, 255));
  const input: OnnxTensor = {
    dtype: 'float32',
    dims: [16, 8, 8, 3],
    data: Float32Array.from(images, (pixel) => pixel / 255),
  };

  const made = new Map<string, Promise<QuantizedModel>>();
  const quantized = (bits: number, { format }: WriteOnnxOptions) => {
    const method = format === 'codebook' ? 'kmeans' : 'linear';
    const key = `${method} ${bits}`;
    const options = method === 'kmeans' ? { method, bits } : { method, bits, calibration: images };
    if (!made.has(key)) made.set(key, quantizeModel(gpu.runtime, model, options as QuantizeModelOptions));
    return made.get(key)!;
  };

  test.skipIf(!decode).each(QUANTIZED)('onnx-proto decodes %i bits as %o', async (bits, form) => {
    const bytes = writeOnnx(await quantized(bits, form), form);
    expect(decodedTerms(decode!(bytes))).toEqual(modelTerms(readOnnx(bytes)));
  });

  test.skipIf(!web).each(QUANTIZED)('ONNX Runtime Web runs %i bits as %o', async (bits, form, tolerance) => {
    const network = await quantized(bits, form);
    const session = await compile(gpu.runtime, network, { batch: 16 });
    const own = await session.run(images);
    session.destroy();
    const [there] = Object.values(
      await models.runOnOrt(writeOnnx(network, form), { input }, false, web!),
    ).map(({ data }) => data as Float32Array);
    console.log(`${bits} bits, ${form.format}: ${apart(there, own).toExponential(1)} of the largest apart`);
    expect(apart(there, own)).toBeLessThan(tolerance);
    const classes = own.length / 16;
    expect(topOne(there, classes)).toEqual(topOne(own, classes));
  });
});

describe('graphs', () => {
  const { classifier, arithmetic, moves, old, halves, quantized, integers, codebook, direct } = models;
  const cases = { classifier, arithmetic, moves, old, halves, quantized, integers, codebook, direct };

  test.skipIf(!decode).each(Object.entries(cases))('onnx-proto decodes %s', (_, make) => {
    const bytes = writeOnnx(make().model);
    expect(decodedTerms(decode!(bytes))).toEqual(modelTerms(readOnnx(bytes)));
  });

  test.skipIf(!web).each(Object.entries(cases))('ONNX Runtime Web runs %s', async (_, make) => {
    const { model, feeds } = make();
    const bytes = writeOnnx(model);
    const there = await models.runOnOrt(bytes, feeds, false, web!);
    const here = await models.runOnOrt(bytes, feeds);
    expect(Object.keys(there)).toEqual(Object.keys(here));
    for (const [name, { type, dims, data }] of Object.entries(here)) {
      expect([there[name].type, there[name].dims]).toEqual([type, dims]);
      if (type !== 'float32') expect(there[name].data).toEqual(data);
      else expect(apart(there[name].data as Float32Array, data as Float32Array)).toBeLessThan(1e-6);
    }
  });
});
