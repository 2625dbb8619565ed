import { describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/gpu/tensor.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { useRuntime } from '../support/runtime.ts';
import { smallModel, stripes } from '../support/small-model.ts';

const context = useRuntime();
const { images } = stripes(3);

/** The small network with one value of a parameter changed. */
function changed(name: string, value: number, dtype: 'float32' | 'float16' = 'float32'): ImageModel {
  const model = smallModel();
  const tensor = model.parameters.get(name)!;
  const data =
    dtype === 'float32' ? Float32Array.from(tensor.data) : new Uint16Array(tensor.data.length).fill(0x3c00);
  data[2] = value;
  return {
    ...model,
    parameters: new Map(model.parameters).set(name, { ...tensor, dtype, data } as Tensor),
  };
}

const refused = async (model: ImageModel, message: RegExp) => {
  const { runtime } = context;
  await expect(compile(runtime, model)).rejects.toThrow(message);
  for (const method of ['linear', 'kmeans'] as const) {
    const quantizing = quantizeModel(runtime, model, { method, bits: 8, calibration: images });
    await expect(quantizing).rejects.toThrow(message);
  }
};

describe('parameters are finite numbers', () => {
  test.each([
    'c0.weight',
    'b0.weight',
    'b0.bias',
    'b1.running_mean',
    'b1.running_var',
    'fc.weight',
    'fc.bias',
  ])('%s', async (name) => {
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      const message = new RegExp(`${name} must be finite; received "${bad} at index 2"`);
      await refused(changed(name, bad), message);
    }
  });

  test('in float16 too', async () => {
    await refused(
      changed('fc.weight', 0x7c00, 'float16'),
      /fc\.weight must be finite; received "Infinity at/,
    );
    await refused(
      changed('c1.weight', 0x7e01, 'float16'),
      /c1\.weight must be finite; received "NaN at index 2"/,
    );
  });

  test('a variance is not negative', async () => {
    for (const bad of [-1, -1e-6]) {
      await refused(changed('b1.running_var', bad), /b1\.running_var: a variance must not be negative/);
    }
    const graph = smallModel().graph;
    const nodes = graph.nodes.map((node) => (node.op === 'batchNorm' ? { ...node, epsilon: 0 } : node));
    const flat = changed('b0.running_var', 0);
    await refused({ ...flat, graph: { ...graph, nodes } }, /b0\.running_var.*nor zero without an epsilon/);
  });

  test('folding a batch norm does not overflow', async () => {
    const model = changed('b0.weight', 3e38);
    const variance = changed('b0.running_var', 1e-30).parameters.get('b0.running_var')!;
    const parameters = new Map(model.parameters).set('b0.running_var', variance);
    await refused({ ...model, parameters }, /c0: with its batch norm folded in, its scale must be finite/);
  });
});

test('what codes stand for is looked at instead of the weights', async () => {
  const { runtime } = context;
  const bad = async (quantized: QuantizedModel, change: Partial<QuantizedModel>, message: RegExp) => {
    await expect(compile(runtime, { ...quantized, ...change })).rejects.toThrow(message);
  };
  const kmeans = await quantizeModel(runtime, smallModel(), { method: 'kmeans', bits: 2 });
  const coded = kmeans.layers.get('c1')!;
  if (coded.method !== 'kmeans') throw new Error('not clustered');
  const codebook = coded.codebook.map((c, i) => (i === 1 ? Number.NaN : c));
  const layers = new Map(kmeans.layers).set('c1', { ...coded, codebook });
  await bad(kmeans, { layers }, /c1: codebook must be finite; received "NaN at index 1"/);

  const linear = await quantizeModel(runtime, smallModel(), {
    method: 'linear',
    bits: 8,
    calibration: images,
  });
  const scaled = linear.layers.get('fc')!;
  if (scaled.method !== 'linear') throw new Error('not linear');
  for (const wrong of [Number.NaN, 0, -1]) {
    const scale = scaled.scale.map((s, i) => (i === 4 ? wrong : s));
    const layers = new Map(linear.layers).set('fc', { ...scaled, scale });
    await bad(linear, { layers }, /fc: scale must be (finite|positive); received ".* at index 4"/);
  }
  for (const scale of [Number.NaN, 1e39, 1e-50]) {
    const activations = new Map(linear.activations).set('r0', { scale, zeroPoint: 0 });
    await bad(linear, { activations }, /r0: an activation's scale must be a float32 above 0/);
  }
  // Weights that codes replace may be anything: a file's are worked out from the codes.
  const weight = changed('fc.weight', Infinity);
  const session = await compile(runtime, { ...linear, model: weight }, { batch: 3 });
  expect((await session.run(images)).every(Number.isFinite)).toBe(true);
  session.destroy();
});

test('images are finite numbers', async () => {
  const session = await compile(context.runtime, smallModel(), { batch: 2 });
  const floats = Float32Array.from(images, (p) => p / 255);
  for (const bad of [Number.NaN, Infinity]) {
    const wrong = floats.slice();
    wrong[192 * 2 + 7] = bad;
    await expect(session.run(wrong)).rejects.toThrow(
      `images must be finite; received "${bad} in image 2, at index 7 of it"`,
    );
  }
  expect((await session.run(floats)).every(Number.isFinite)).toBe(true);
  session.destroy();
});
