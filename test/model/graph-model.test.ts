// Networks in ONNX's operators through compile and run, held to their definition in float64.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { Model } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { interpretReference } from '../../src/reference/interpreter/interpret.ts';
import type { Value } from '../../src/reference/interpreter/value.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(11);
const floats = (dims: number[], scale = 1): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(
    dims.reduce((a, b) => a * b, 1),
    scale,
  ),
});
const NCHW = { perm: [0, 3, 1, 2] };
const NHWC = { perm: [0, 2, 3, 1] };

/** As a converter of TensorFlow's writes it: channels last, a transpose round every convolution. */
function channelsLast(): GraphModel {
  const w = new GraphWriter('channels last', 17);
  const x = w.input({ name: 'image', dtype: 'float32', shape: ['batch', 9, 7, 3] });
  const half = w.node('Mul', 'scaled', [x, w.scalar('two', 2)]);
  const centred = w.node('Sub', 'centred', [half, w.scalar('one', 1)]);
  const conv = (name: string, from: string, inputs: number, outputs: number, stride = 1) => {
    const before = w.node('Transpose', `${name}/nchw`, [from], NCHW);
    const weight = w.constant(`${name}/w`, floats([outputs, inputs, 3, 3], 0.4));
    const made = w.node('Conv', name, [before, weight], { pads: [1, 1, 1, 1], strides: [stride, stride] });
    const back = w.node('Transpose', `${name}/nhwc`, [made], NHWC);
    return w.node('Add', `${name}/bias`, [back, w.constant(`${name}/b`, floats([outputs], 0.3))]);
  };
  const a = w.node('Relu', 'a', [conv('conv1', centred, 3, 8)]);
  const b = w.node('HardSwish', 'b', [conv('conv2', a, 8, 8)]);
  const sum = w.node('Add', 'sum', [a, b]);
  const mean = w.node('ReduceMean', 'mean', [sum], { axes: [1, 2], keepdims: 1 });
  const gate = w.node('Sigmoid', 'gate', [conv('squeeze', mean, 8, 8)]);
  const gated = w.node('Mul', 'gated', [sum, gate]);
  const wide = w.node('Concat', 'wide', [gated, a], { axis: 3 });
  const lower = w.node('Sub', 'lower', [conv('conv3', wide, 16, 5, 2), w.constant('less', floats([5]))]);
  const smaller = w.node('Div', 'smaller', [lower, w.constant('by', floats([5], 0.5))]);
  const c = w.node('LeakyRelu', 'c', [smaller], { alpha: 0.2 });
  const rows = w.node('Reshape', 'rows', [c, w.integers('rows/shape', [-1, 5 * 4 * 5])]);
  const dense = w.node('MatMul', 'dense', [rows, w.constant('dense/w', floats([100, 6], 0.2))]);
  const probabilities = w.node('Softmax', 'probabilities', [dense], { axis: -1 });
  return w.model([probabilities, c]);
}

/** Channels first, grouped and depthwise, with a skip over a resize, and two inputs. */
function channelsFirst(): GraphModel {
  const w = new GraphWriter('channels first', 17);
  const x = w.input({ name: 'image', dtype: 'float32', shape: ['batch', 3, 'height', 'width'] });
  const bias = w.input({ name: 'offset', dtype: 'float32', shape: ['batch', 1] });
  const conv = (name: string, from: string, dims: number[], attributes = {}) =>
    w.node(
      'Conv',
      name,
      [from, w.constant(`${name}/w`, floats(dims, 0.4)), w.constant(`${name}/b`, floats([dims[0]], 0.2))],
      attributes,
    );
  const down = w.node('Relu', 'down', [
    conv('stem', x, [6, 3, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  ]);
  const deep = w.node('Clip', 'deep', [
    conv('depthwise', down, [6, 1, 3, 3], { group: 6, pads: [1, 1, 1, 1] }),
    w.scalar('low', 0),
    w.scalar('high', 6),
  ]);
  const up = w.node(
    'Resize',
    'up',
    [deep, null, w.constant('scales', { dtype: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) })],
    { mode: 'linear', coordinate_transformation_mode: 'half_pixel' },
  );
  const joined = w.node('Concat', 'joined', [up, x], { axis: 1 });
  const out = conv('head', joined, [4, 9, 1, 1]);
  const mean = w.node('GlobalAveragePool', 'mean', [out]);
  const flat = w.node('Flatten', 'flat', [mean]);
  const shifted = w.node('Add', 'shifted', [flat, bias]);
  const [best, rest] = w.several('Split', 'parts', [shifted, w.integers('sizes', [1, 3])], { axis: 1 }, 2);
  const top = w.node('ArgMax', 'top', [shifted], { axis: 1, keepdims: 0 });
  return w.model([out, best, rest, top]);
}

/** Attention over a sequence: products of activations, a layer norm, shape arithmetic. */
function transformer(): GraphModel {
  const w = new GraphWriter('attention', 20);
  const x = w.input({ name: 'tokens', dtype: 'float32', shape: ['batch', 'length', 8] });
  const normed = w.node('LayerNormalization', 'norm', [
    x,
    w.constant('gamma', floats([8])),
    w.constant('beta', floats([8])),
  ]);
  const shape = w.node('Shape', 'shape', [normed]);
  const first = w.node('Slice', 'leading', [shape, w.integers('from', [0]), w.integers('to', [2])]);
  const target = w.node('Concat', 'target', [first, w.integers('heads', [2, 4])], { axis: 0 });
  const head = (name: string) => {
    const product = w.node('MatMul', name, [normed, w.constant(`${name}/w`, floats([8, 8], 0.5))]);
    const shaped = w.node('Reshape', `${name}/heads`, [product, target]);
    return w.node('Transpose', `${name}/turned`, [shaped], { perm: [0, 2, 1, 3] });
  };
  const [q, k, v] = ['q', 'k', 'v'].map(head);
  const keys = w.node('Transpose', 'keys', [k], { perm: [0, 1, 3, 2] });
  const scores = w.node('Div', 'scores', [w.node('MatMul', 'qk', [q, keys]), w.scalar('root', 2)]);
  const mixed = w.node('MatMul', 'mixed', [w.node('Softmax', 'weights', [scores], { axis: -1 }), v]);
  const turned = w.node('Transpose', 'turned', [mixed], { perm: [0, 2, 1, 3] });
  const back = w.node('Reshape', 'back', [turned, w.node('Shape', 'whole', [normed])]);
  const out = w.node(
    'Gemm',
    'unused',
    [w.node('Flatten', 'f', [back]), w.constant('g', floats([40, 2]))],
    {},
  );
  const sum = w.node('Add', 'sum', [back, x]);
  return w.model([w.node('Gelu', 'out', [sum]), out]);
}

function apart(got: OnnxTensor, want: Value): number {
  expect(got.dtype).toBe(want.dtype);
  expect(got.dims).toEqual(want.dims);
  const values = [...want.data];
  const largest = Math.max(1e-3, ...values.map(Math.abs));
  return Math.max(0, ...values.map((value, i) => Math.abs(Number(got.data[i]) - value))) / largest;
}

async function expectSame(
  model: GraphModel,
  inputs: Record<string, OnnxTensor>,
  network: Model | QuantizedModel = model,
) {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { dims }]) => [name, dims]));
  const session = await compile(gpu.runtime, network, { shapes });
  try {
    const got = await session.run(inputs);
    const want = interpretReference(model, inputs);
    expect(Object.keys(got)).toEqual(Object.keys(want));
    expect(session.outputs.map(({ name }) => name)).toEqual(Object.keys(want));
    for (const [name, tensor] of Object.entries(want))
      expect(apart(got[name], tensor), name).toBeLessThan(1e-5);
    return got;
  } finally {
    session.destroy();
  }
}

describe('float', () => {
  test('channels last, with transposes round every convolution', async () => {
    await expectSame(channelsLast(), { image: floats([2, 9, 7, 3]) });
  });

  test('channels first, two inputs, four outputs, other shapes at each call', async () => {
    const model = channelsFirst();
    const inputs = { image: floats([1, 3, 8, 6]), offset: floats([1, 1]) };
    await expectSame(model, inputs);
    const session = await compile(gpu.runtime, model, { shapes: { batch: 1, height: 8, width: 6 } });
    const larger = { image: floats([2, 3, 4, 10]), offset: floats([2, 1]) };
    const got = await session.run(larger);
    for (const [name, tensor] of Object.entries(interpretReference(model, larger)))
      expect(apart(got[name], tensor), name).toBeLessThan(1e-5);
    await expect(session.run({ ...larger, offset: floats([3, 1]) })).rejects.toThrow(
      /offset must have the shape/,
    );
    await expect(session.run({ image: larger.image })).rejects.toThrow(/offset: every input must be given/);
    session.destroy();
  });

  test('attention', async () => {
    await expectSame(transformer(), { tokens: floats([2, 5, 8]) });
  });

  test('bounds that are attributes, as before opset 11', async () => {
    const w = new GraphWriter('old', 9);
    const x = w.input({ name: 'x', dtype: 'float32', shape: [2, 3, 5, 5] });
    const c = w.node('Conv', 'c', [x, w.constant('w', floats([4, 3, 3, 3]))]);
    const model = w.model([w.node('Clip', 'y', [c], { min: -0.5, max: 0.75 })]);
    const { y } = await expectSame(model, { x: floats([2, 3, 5, 5]) });
    expect([Math.min(...(y.data as Float32Array)), Math.max(...(y.data as Float32Array))]).toEqual([
      -0.5, 0.75,
    ]);
  });

  test('symbols without a value are named', async () => {
    await expect(compile(gpu.runtime, channelsFirst())).rejects.toThrow(/height of image .*width of image/);
  });
});

describe('images', () => {
  const filter = floats([2, 3, 1, 1]);
  const network = (turned: boolean): GraphModel => {
    const w = new GraphWriter('order', 17);
    const x = w.input({ name: 'image', dtype: 'float32', shape: ['batch', 3, 2, 2] });
    const own = turned ? w.node('Transpose', 'back', [w.node('Transpose', 'to', [x], NHWC)], NCHW) : x;
    return w.model([w.node('Conv', 'y', [own, w.constant('w', filter)])]);
  };

  test.each([false, true])('are channels last, unless a network turns them itself (%s)', async (turned) => {
    const model = network(turned);
    const image = floats([2, 3, 2, 2]);
    const nhwc = Float32Array.from({ length: 24 }, (_, i) => {
      const [n, pixel, c] = [Math.floor(i / 12), Math.floor(i / 3) % 4, i % 3];
      return image.data[(n * 3 + c) * 4 + pixel] as number;
    });
    const session = await compile(gpu.runtime, model, { batch: 2 });
    const flat = await session.run(turned ? (image.data as Float32Array) : nhwc);
    const { y } = await session.run({ image });
    session.destroy();
    expect(flat).toEqual(y.data);
    expect(apart(y, interpretReference(model, { image }).y)).toBeLessThan(1e-6);
  });

  test('of bytes are pixels for any input', async () => {
    const w = new GraphWriter('pixels', 17);
    const x = w.input({ name: 'x', dtype: 'float32', shape: ['batch', 2, 3, 2, 2] });
    const model = w.model([w.node('Relu', 'y', [x])]);
    const session = await compile(gpu.runtime, model, { batch: 1 });
    const pixels = Uint8Array.from({ length: 24 }, (_, i) => i * 10);
    expect(await session.run(pixels)).toEqual(Float32Array.from(pixels, (p) => p / 255));
    session.destroy();
  });
});

describe('quantized', () => {
  const model = channelsLast();
  const image = floats([8, 9, 7, 3], 0.5);

  test('in codebooks, and again from a file', async () => {
    const quantized = await quantizeModel(gpu.runtime, model, { method: 'kmeans', bits: 8 });
    expect([...quantized.layers.keys()]).toEqual(['conv1', 'conv2', 'squeeze', 'conv3', 'dense']);
    const session = await compile(gpu.runtime, quantized, { shapes: { batch: 8 } });
    const got = await session.run({ image });
    session.destroy();
    expect(apart(got.c, interpretReference(model, { image }).c)).toBeLessThan(0.05);
    const read = readModelFile(writeModelFile(quantized)) as QuantizedModel;
    const again = await compile(gpu.runtime, read, { shapes: { batch: 8 } });
    expect(await again.run({ image })).toEqual(got);
    again.destroy();
    // Its float weights are those that the codes stand for, in the graph's own order.
    const floats = await compile(gpu.runtime, read.model, { shapes: { batch: 8 } });
    const decoded = await floats.run({ image });
    for (const name of ['probabilities', 'c']) {
      const want = { ...got[name], data: Float64Array.from(got[name].data as Float32Array) };
      expect(apart(decoded[name], want)).toBeLessThan(1e-5);
    }
    floats.destroy();
  });

  test('in integers, and again from a file', async () => {
    const quantized = await quantizeModel(gpu.runtime, model, {
      method: 'linear',
      bits: 8,
      calibration: [{ image }],
    });
    const session = await compile(gpu.runtime, quantized, { shapes: { batch: 8 } });
    expect(
      session
        .plan()
        .map(({ kernel }) => kernel)
        .join(' '),
    ).toMatch(/conv2d-int8/);
    const got = await session.run({ image });
    session.destroy();
    expect(apart(got.c, interpretReference(model, { image }).c)).toBeLessThan(0.1);
    const read = readModelFile(writeModelFile(quantized));
    const again = await compile(gpu.runtime, read, { shapes: { batch: 8 } });
    expect(await again.run({ image })).toEqual(got);
    again.destroy();
  });
});

describe('encode', () => {
  test('records on the buffers of the caller, in floats and in integers', async () => {
    const model = channelsLast();
    const image = floats([2, 9, 7, 3], 0.5);
    const int8 = await quantizeModel(gpu.runtime, model, {
      method: 'linear',
      bits: 8,
      calibration: [{ image }],
    });
    for (const network of [model, int8]) {
      const session = await compile(gpu.runtime, network, { shapes: { batch: 2 } });
      const want = await session.run({ image });
      await gpu.runtime.scope(async ({ upload, empty }) => {
        const given = upload(image.data as Float32Array);
        const [c, probabilities] = [empty(want.c.data.byteLength), empty(want.probabilities.data.byteLength)];
        for (let pass = 0; pass < 2; pass++) {
          gpu.runtime.record((encoder) => session.encode(encoder, { image: given }, { c, probabilities }));
        }
        expect(new Float32Array(await gpu.runtime.read(c))).toEqual(want.c.data);
        expect(new Float32Array(await gpu.runtime.read(probabilities))).toEqual(want.probabilities.data);
        const encoder = gpu.runtime.device.createCommandEncoder();
        expect(() => session.encode(encoder, {}, { c })).toThrow(/image: every input must be given/);
        expect(() => session.encode(encoder, { image: c }, { c })).toThrow(/must hold 1512 bytes/);
      });
      session.destroy();
    }
  });
});
