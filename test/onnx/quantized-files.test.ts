// Quantized networks as ONNX files: ONNX Runtime runs them to the integers that run here, and they come back as they were.
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { importQdq } from '../../src/lower/import-qdq.ts';
import { isQuantized, type LinearLayer, type QuantizedModel } from '../../src/model/quantized-model.ts';
import { vgg } from '../../src/model/vgg.ts';
import { type CodeType, type OnnxFormat, readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { qoperatorGraph } from '../../src/onnx/qoperator-export.ts';
import { qdqOfOperators } from '../../src/onnx/qoperator-import.ts';
import { topOne } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { initialize } from '../../src/train/initialize.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { residualModel, smallModel } from '../support/small-model.ts';

const gpu = useRuntime();

const pixelsOf = (seed: number, count: number): Uint8Array => {
  const random = seeded(seed);
  return Uint8Array.from({ length: count }, () => random.integer(0, 255));
};

/** The first output for pixels, by ONNX Runtime's CPU provider. */
async function ortOutput(bytes: Uint8Array, images: Uint8Array, dims: number[], optimized = false) {
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: optimized ? 'all' : 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const data = Float32Array.from(images, (pixel) => pixel / 255);
  const results = await session.run({ [session.inputNames[0]]: new ort.Tensor(data, dims) });
  await session.release();
  return results[session.outputNames[0]].data as Float32Array;
}

async function ownOutput(model: Parameters<typeof compile>[1], images: Uint8Array, batch: number) {
  const session = await compile(gpu.runtime, model, { batch });
  try {
    return await session.run(images);
  } finally {
    session.destroy();
  }
}

/** Largest distance as a part of the largest value. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  const largest = Math.max(...Array.from(b, Math.abs));
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]))) / largest;
}

const networks = {
  'a chain with batch norms and pools': { model: smallModel(), size: 8, channels: 3 },
  'a residual network': { model: residualModel(), size: 8, channels: 3 },
};

describe.each(Object.entries(networks))('%s', (_, { model, size, channels }) => {
  const images = pixelsOf(7, 16 * size * size * channels);
  const dims = [16, size, size, channels];
  const quantized = () =>
    quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: images });

  test.each(['qdq', 'qoperator'] as OnnxFormat[])('%s in ONNX Runtime', async (format) => {
    const int8 = await quantized();
    const want = await ownOutput(int8, images, 16);
    const bytes = writeOnnx(int8, { format });
    for (const optimized of [false, true]) {
      const got = await ortOutput(bytes, images, dims, optimized);
      // Optimized, ONNX Runtime fuses what is between quantizers into operators of its own.
      const tolerance = optimized && format === 'qdq' ? 0.15 : 0.03;
      console.log(`${format}, optimized ${optimized}: ${apart(got, want).toExponential(1)}`);
      expect(apart(got, want), `optimized ${optimized}`).toBeLessThan(tolerance);
      const classes = want.length / 16;
      expect(topOne(got, classes)).toEqual(topOne(want, classes));
    }
  });

  test('a QDQ file comes back as the network that it was', async () => {
    const int8 = await quantized();
    const read = readOnnx(writeOnnx(int8)) as GraphModel;
    const again = importQdq(read) as QuantizedModel;
    expect(isQuantized(again)).toBe(true);
    expect([...again.layers.keys()]).toEqual([...int8.layers.keys()]);
    for (const [name, { codes }] of again.layers) expect(codes, name).toEqual(int8.layers.get(name)!.codes);
    const [want, got] = [await ownOutput(int8, images, 16), await ownOutput(read, images, 16)];
    expect(apart(got, want)).toBeLessThan(1e-6);
  });

  test('operators on codes run here to ONNX Runtime’s outputs', async () => {
    const bytes = writeOnnx(await quantized(), { format: 'qoperator' });
    const [want, got] = [
      await ortOutput(bytes, images, dims),
      await ownOutput(readOnnx(bytes) as GraphModel, images, 16),
    ];
    // What stays between quantizers there is integers here: a tie may fall the other way.
    expect(apart(got, want)).toBeLessThan(0.03);
  });

  test('codebooks are gathered', async () => {
    const palette = await quantizeModel(gpu.runtime, model, { method: 'kmeans', bits: 4 });
    const bytes = writeOnnx(palette);
    expect((readOnnx(bytes) as GraphModel).graph.nodes.filter(({ op }) => op === 'Gather').length).toBe(
      palette.layers.size,
    );
    const codes = [...(readOnnx(bytes) as GraphModel).parameters].filter(([name]) => name.endsWith('/codes'));
    expect(codes.map(([, { dtype }]) => dtype)).toEqual(Array(palette.layers.size).fill('uint8'));
    const want = await ownOutput(palette, images, 16);
    expect(apart(await ortOutput(bytes, images, dims), want)).toBeLessThan(1e-5);
    expect(apart(await ownOutput(readOnnx(bytes) as GraphModel, images, 16), want)).toBeLessThan(1e-5);
  });
});

test('weights of 4 bits are int4, of opset 21', async () => {
  const model = smallModel();
  const images = pixelsOf(8, 8 * 192);
  const int4 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 4, calibration: images });
  const read = readOnnx(writeOnnx(int4)) as GraphModel;
  expect(read.graph.opset).toBe(21);
  expect([...read.parameters.values()].filter(({ dtype }) => dtype === 'int4').length).toBe(int4.layers.size);
  expect(apart(await ownOutput(read, images, 8), await ownOutput(int4, images, 8))).toBeLessThan(1e-6);
  const floats = {
    input: { dtype: 'float32', dims: [8, 8, 8, 3], data: Float32Array.from(images, (p) => p / 255) },
  } as const;
  expect(
    apart(interpretGraph(read, floats).fc.data as Float32Array, await ownOutput(int4, images, 8)),
  ).toBeLessThan(0.03);
  const int3 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 3, calibration: images });
  expect(() => writeOnnx(int3)).toThrow(/types for weights of 8 and 4 bits.*3 bits in c0/);
});

test.each([9, 11])(
  'a network of opset %i is written in the terms of the opset that QDQ needs',
  async (opset) => {
    const w = new GraphWriter('old', opset);
    const random = seeded(31);
    const floats = (dims: number[]) => {
      const data = random.floats(
        dims.reduce((a, b) => a * b),
        0.4,
      );
      return { dtype: 'float32', dims, data } as const;
    };
    const x = w.input({ name: 'x', dtype: 'float32', shape: ['n', 3, 8, 8] });
    const c = w.node('Conv', 'c', [x, w.constant('cw', floats([6, 3, 3, 3]))], { pads: [1, 1, 1, 1] });
    const bounds = opset < 11 ? [] : [w.scalar('low', 0), w.scalar('high', 6)];
    const r = w.node('Clip', 'r', [c, ...bounds], opset < 11 ? { min: 0, max: 6 } : {});
    const p = w.node('GlobalAveragePool', 'p', [r]);
    const q = w.node('Squeeze', 'q', [p], { axes: [2, 3] });
    const d = w.node('MatMul', 'd', [q, w.constant('dw', floats([6, 4]))]);
    const model = w.model([w.node('Softmax', 'y', [d])]);
    const image = floats([2, 3, 8, 8]);
    for (const bits of [8, 4]) {
      const int = await quantizeModel(gpu.runtime, model, {
        method: 'linear',
        bits,
        calibration: [{ x: image }],
      });
      const session = await compile(gpu.runtime, int, { shapes: { n: 2 } });
      const { y } = await session.run({ x: image });
      session.destroy();
      const bytes = writeOnnx(int);
      expect((readOnnx(bytes) as GraphModel).graph.opset).toBe(bits === 4 ? 21 : 13);
      const peer = (await runOnOrt(bytes, { x: image })).y.data as Float32Array;
      expect(apart(peer, y.data as Float32Array), `${bits} bits`).toBeLessThan(0.03);
    }
  },
);

/** Every form of a linearly quantized network's file. */
const forms = (['qdq', 'qoperator'] as OnnxFormat[]).flatMap((format) =>
  (['int8', 'uint8'] as CodeType[]).flatMap((activationType) =>
    (['int8', 'uint8'] as CodeType[]).map((weightType) => ({ format, activationType, weightType })),
  ),
);

describe.each(forms)('$format of $activationType activations and $weightType weights', (form) => {
  const { activationType, weightType, format } = form;
  const zeroPoints = { int8: 0, uint8: 128 };

  test.each([smallModel(), residualModel()])('holds the same integers', async (model) => {
    const images = pixelsOf(12, 8 * 192);
    const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: images });
    const bytes = writeOnnx(int8, form);
    const read = readOnnx(bytes) as GraphModel;
    const of = (pattern: RegExp) =>
      [...read.parameters].filter(([name]) => pattern.test(name)).map(([, tensor]) => tensor);
    const weights = of(/\/weight\/codes$/);
    expect(weights.map(({ dtype }) => dtype)).toEqual(weights.map(() => weightType));
    expect(weights.length).toBe(int8.layers.size);
    for (const { dtype, data } of of(/\/weight.*\/zero_point$/)) {
      expect([dtype, ...new Set<number | bigint>(data)]).toEqual([weightType, zeroPoints[weightType]]);
    }
    const zeros = of(/(?<!weight|codes)\/zero_point$/);
    expect([...new Set(zeros.map(({ dtype }) => dtype))]).toEqual([activationType]);
    const again = importQdq(qdqOfOperators(read)) as QuantizedModel;
    expect([...again.layers.keys()]).toEqual([...int8.layers.keys()]);
    for (const [name, { codes }] of again.layers) expect(codes, name).toEqual(int8.layers.get(name)!.codes);
    const grids = ({ activations }: QuantizedModel) =>
      new Set([...activations.values()].map(({ scale, zeroPoint }) => `${scale} ${zeroPoint}`));
    const signed = importQdq(qdqOfOperators(readOnnx(writeOnnx(int8, { format })) as GraphModel));
    expect(grids(again)).toEqual(grids(signed as QuantizedModel));
    expect(apart(await ownOutput(again, images, 8), await ownOutput(int8, images, 8))).toBeLessThan(1e-6);
  });
});

/** Two convolutions, of which the first has the largest products that int8 codes have, all of one sign. */
function largestProducts(): GraphModel {
  const w = new GraphWriter('largest', 17);
  const random = seeded(41);
  const positive = (length: number) => Float32Array.from({ length }, () => 1 + random.next() / 8);
  const x = w.input({ name: 'x', dtype: 'float32', shape: ['n', 8, 6, 6] });
  const first = w.constant('w1', { dtype: 'float32', dims: [8, 8, 3, 3], data: positive(576) });
  const c = w.node('Conv', 'c', [x, first], { pads: [1, 1, 1, 1] });
  const second = w.constant('w2', { dtype: 'float32', dims: [4, 8, 1, 1], data: random.floats(32) });
  return w.model([w.node('Conv', 'y', [c, second])]);
}

test('which forms are exact in ONNX Runtime where the largest codes meet', async () => {
  const model = largestProducts();
  const random = seeded(42);
  const data = Float32Array.from({ length: 4 * 288 }, (_, i) => 2 - (i % 7 === 0 ? 2 : random.next() / 8));
  const x = { dtype: 'float32', dims: [4, 8, 6, 6], data } as const;
  const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: [{ x }] });
  const session = await compile(gpu.runtime, int8, { shapes: { n: 4 } });
  const want = (await session.run({ x })).y.data as Float32Array;
  session.destroy();
  for (const form of forms) {
    const { format, activationType, weightType } = form;
    // ONNX Runtime's CPU provider has no QLinearConv of int8 activations and uint8 weights.
    if (format === 'qoperator' && activationType === 'int8' && weightType === 'uint8') continue;
    for (const optimized of [false, true]) {
      const made = await runOnOrt(writeOnnx(int8, form), { x }, optimized);
      const error = apart(made.y.data as Float32Array, want);
      const codes = format === 'qoperator' || optimized;
      const signed = weightType === 'int8' && codes && (format === 'qdq' || activationType === 'uint8');
      const names = `${format}, ${activationType} by ${weightType}, optimized ${optimized}`;
      console.log(`${names}: ${error.toExponential(1)}${signed ? ', saturating without VNNI' : ''}`);
      // What stays between floats may fall to the other side of a tie.
      if (!signed) expect(error, names).toBeLessThan(codes ? 1e-5 : 0.01);
    }
  }
});

/** A convolution between quantizers, whose output is clamped and then quantized with a zero point. */
function clampedConv(zeroPoint: OnnxTensor): GraphModel {
  const w = new GraphWriter('clamped', 17);
  const scale = w.scalar('scale', 0.05);
  const zero = w.constant('zero', zeroPoint);
  const through = (name: string, value: string) => {
    const codes = w.node('QuantizeLinear', `${name} codes`, [value, scale, zero]);
    return w.node('DequantizeLinear', name, [codes, scale, zero]);
  };
  const x = w.input({ name: 'x', dtype: 'float32', shape: [1, 2, 4, 4] });
  const codes = w.constant('w', { dtype: 'int8', dims: [3, 2, 1, 1], data: seeded(44).int8s(6) });
  const bias = w.constant('b', { dtype: 'int32', dims: [3], data: Int32Array.of(-500, 0, 900) });
  const weight = w.node('DequantizeLinear', 'weight', [codes, w.scalar('ws', 0.01)]);
  const shift = w.node('DequantizeLinear', 'shift', [bias, w.scalar('bs', 0.05 * 0.01)]);
  const conv = w.node('Conv', 'conv', [through('input', x), weight, shift]);
  return w.model([through('y', w.node('Relu', 'relu', [conv]))]);
}

test.each<[OnnxTensor, boolean]>([
  [{ dtype: 'int8', dims: [], data: Int8Array.of(-128) }, true],
  [{ dtype: 'uint8', dims: [], data: Uint8Array.of(0) }, true],
  [{ dtype: 'int8', dims: [], data: Int8Array.of(0) }, false],
  [{ dtype: 'uint8', dims: [], data: Uint8Array.of(128) }, false],
])('a Relu is left out where the codes of %o begin at its 0', async (zeroPoint, implied) => {
  const model = clampedConv(zeroPoint);
  const operators = qoperatorGraph(model);
  const ops = operators.graph.nodes.map(({ op }) => op);
  expect([ops.includes('QLinearConv'), ops.includes('Relu')]).toEqual([implied, !implied]);
  const x = { dtype: 'float32', dims: [1, 2, 4, 4], data: seeded(45).floats(32, 3) } as const;
  const [got, want] = [operators, model].map(async (each) => (await runOnOrt(writeOnnx(each), { x })).y.data);
  expect(apart((await got) as Float32Array, (await want) as Float32Array)).toBeLessThan(1e-6);
});

test('a layer of one scale, here and in ONNX Runtime', async () => {
  const model = smallModel();
  const images = pixelsOf(13, 8 * 192);
  const options = { method: 'linear', bits: 8, calibration: images } as const;
  const whole = await quantizeModel(gpu.runtime, model, { ...options, granularity: 'perTensor' });
  const channels = await quantizeModel(gpu.runtime, model, options);
  for (const [name, layer] of whole.layers as QuantizedModel['layers'] & Map<string, LinearLayer>) {
    const own = (channels.layers.get(name) as LinearLayer).scale;
    // That of the channel with the largest weights.
    expect([...new Set(layer.scale)], name).toEqual([Math.max(...own)]);
    expect(new Set(own).size, name).toBeGreaterThan(1);
  }
  const want = await ownOutput(whole, images, 8);
  expect(want).toEqual(int8Logits(whole, images));
  for (const format of ['qdq', 'qoperator'] as OnnxFormat[]) {
    expect(apart(await ortOutput(writeOnnx(whole, { format }), images, [8, 8, 8, 3]), want)).toBeLessThan(
      0.03,
    );
  }
  const refused = quantizeModel(gpu.runtime, model, {
    ...{ ...options, granularity: { kind: 'perGroup', groupSize: 4 } },
  });
  await expect(refused).rejects.toThrow(/linear: granularity must be 'perTensor' or .*received .*perGroup/);
});

test('types of codes are refused where a file has none, and others than two', async () => {
  const images = pixelsOf(8, 8 * 192);
  const int8 = await quantizeModel(gpu.runtime, smallModel(), {
    method: 'linear',
    bits: 8,
    calibration: images,
  });
  const refused = (options: Parameters<typeof writeOnnx>[1]) => expect(() => writeOnnx(int8, options));
  refused({ weightType: 'int4' as CodeType }).toThrow(
    /weightType must be one of int8, uint8; received "int4"/,
  );
  refused({ activationType: 'uint8', format: 'float' }).toThrow(
    /activationType is of formats qdq and qoperator; received "float"; leave it out/,
  );
  expect(() => writeOnnx(smallModel(), { weightType: 'uint8' })).toThrow(/is of formats qdq and qoperator/);
  const int4 = await quantizeModel(gpu.runtime, smallModel(), {
    method: 'linear',
    bits: 4,
    calibration: images,
  });
  const read = readOnnx(writeOnnx(int4, { activationType: 'uint8', weightType: 'uint8' })) as GraphModel;
  const dtypes = new Set([...read.parameters.values()].map(({ dtype }) => dtype));
  expect([dtypes.has('int4'), dtypes.has('uint8'), dtypes.has('int8')]).toEqual([true, true, false]);
  expect(apart(await ownOutput(read, images, 8), await ownOutput(int4, images, 8))).toBeLessThan(1e-6);
});

test('views between a layer and its quantizer are views of codes', async () => {
  const w = new GraphWriter('views', 17);
  const random = seeded(43);
  const floats = (dims: number[]) => {
    const data = random.floats(
      dims.reduce((a, b) => a * b),
      0.4,
    );
    return { dtype: 'float32', dims, data } as const;
  };
  const x = w.input({ name: 'x', dtype: 'float32', shape: [2, 3, 6, 6] });
  const c = w.node('Conv', 'c', [x, w.constant('cw', floats([4, 3, 3, 3]))]);
  const r = w.node('Relu', 'r', [c]);
  const t = w.node('Transpose', 't', [r], { perm: [0, 2, 3, 1] });
  // Its sizes are computed after the convolution.
  const sizes = w.node(
    'Concat',
    'sizes',
    [
      w.node('Slice', 'n', [w.node('Shape', 's', [x]), w.integers('a', [0]), w.integers('b', [1])]),
      w.integers('rest', [64]),
    ],
    { axis: 0 },
  );
  const f = w.node('Reshape', 'f', [t, sizes]);
  const model = w.model([w.node('Gemm', 'y', [f, w.constant('dw', floats([64, 5]))])]);
  const image = floats([2, 3, 6, 6]);
  const int8 = await quantizeModel(gpu.runtime, model, {
    method: 'linear',
    bits: 8,
    calibration: [{ x: image }],
  });
  const session = await compile(gpu.runtime, int8);
  const want = (await session.run({ x: image })).y.data as Float32Array;
  session.destroy();
  const bytes = writeOnnx(int8, { format: 'qoperator' });
  const read = readOnnx(bytes) as GraphModel;
  const operators = read.graph.nodes.map(({ op }) => op);
  expect(operators).toEqual(expect.arrayContaining(['QLinearConv', 'Transpose', 'Reshape', 'QGemm']));
  expect(operators.filter((op) => /^(Quantize|Dequantize|Conv$|Gemm$|Relu)/.test(op))).toEqual([
    'QuantizeLinear',
  ]);
  for (const optimized of [false, true]) {
    const made = (await runOnOrt(bytes, { x: image }, optimized)).y.data as Float32Array;
    expect(apart(made, want)).toBeLessThan(1e-5);
  }
  const again = await compile(gpu.runtime, read);
  expect(apart((await again.run({ x: image })).y.data as Float32Array, want)).toBeLessThan(1e-5);
  again.destroy();
});

test('a VGG in QDQ and in operators on codes: top-1 as here', async () => {
  const model = initialize(vgg({ widthDivisor: 8 }), { seed: 4 });
  const images = pixelsOf(9, 32 * 3072);
  const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: images });
  const want = await ownOutput(int8, images, 32);
  for (const format of ['qdq', 'qoperator'] as OnnxFormat[]) {
    const got = await ortOutput(writeOnnx(int8, { format }), images, [32, 32, 32, 3]);
    expect(topOne(got, 10), format).toEqual(topOne(want, 10));
  }
});

/** Two products with a clamp between them, of matrices or of stacks of them. */
function products(rank: number, biased: boolean): GraphModel {
  const w = new GraphWriter('products', 17);
  const random = seeded(50 + rank);
  const floats = (name: string, ...dims: number[]) => {
    const data = random.floats(
      dims.reduce((a, b) => a * b, 1),
      0.5,
    );
    return w.constant(name, { dtype: 'float32', dims, data });
  };
  const product = (name: string, input: string, inner: number, outer: number) => {
    const made = w.node('MatMul', name, [input, floats(`${name}.weight`, inner, outer)]);
    return biased ? w.node('Add', `${name}.sum`, [made, floats(`${name}.bias`, outer)]) : made;
  };
  const shape = ['n', ...[5, 3].slice(0, rank - 2), 16];
  const x = w.input({ name: 'x', dtype: 'float32', shape });
  const first = w.node('Relu', 'relu', [product('first', x, 16, 24)]);
  const second = product('second', first, 24, 10);
  const last = w.node('Relu', 'last', [product('third', second, 10, 12)]);
  return w.model([w.node('MatMul', 'y', [last, floats('y.weight', 12, 7)])]);
}

describe.each([
  [2, true],
  [2, false],
  [3, true],
  [3, false],
  [4, true],
])('products of rank %i, biases: %s', (rank, biased) => {
  const written = forms.filter(
    // ONNX Runtime's CPU provider has no product of int8 activations and uint8 weights.
    ({ format, activationType, weightType }) =>
      format === 'qdq' || activationType === 'uint8' || weightType === 'int8',
  );

  test.each(written)('$format of $activationType activations and $weightType weights', async (form) => {
    const dims = [9, ...[5, 3].slice(0, rank - 2), 16];
    const count = dims.reduce((a, b) => a * b, 1);
    const x: OnnxTensor = { dtype: 'float32', dims, data: seeded(61).floats(count, 2) };
    const model = products(rank, biased);
    const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: [{ x }] });
    const output = async (network: Parameters<typeof compile>[1]) => {
      const session = await compile(gpu.runtime, network, { shapes: { n: 9 } });
      const { y } = await session.run({ x });
      session.destroy();
      return y.data as Float32Array;
    };
    const want = await output(int8);
    const bytes = writeOnnx(int8, form);
    const read = readOnnx(bytes);
    const ops = read.graph.nodes.map(({ op }) => op);
    if (form.format === 'qoperator') {
      expect(ops.filter((op) => op === 'QGemm' || op === 'QLinearMatMul').length).toBe(4);
      expect(ops).not.toContain('MatMul');
      expect(ops).not.toContain('DequantizeLinear');
    }
    // One code that is another would be a hundredth.
    expect(apart(await output(read), want)).toBeLessThan(1e-6);
    const saturates = form.weightType === 'int8' && form.activationType === 'uint8';
    if (saturates && form.format === 'qoperator') return;
    expect(apart((await runOnOrt(bytes, { x })).y.data as Float32Array, want)).toBeLessThan(1e-6);
    const again = importQdq(qdqOfOperators(read)) as QuantizedModel;
    expect([...again.layers.keys()]).toEqual([...int8.layers.keys()]);
    for (const [name, { codes }] of again.layers) expect(codes, name).toEqual(int8.layers.get(name)!.codes);
  });
});

describe('operators on codes that are compiled', () => {
  /** A residual block, joined with what it reads, pooled: by the zero point of the second convolution's weights. */
  function operators(weightZero: number, seed: number): GraphModel {
    const w = new GraphWriter('operators', 17);
    const random = seeded(seed);
    const zero = (value: number) =>
      w.constant('zero', { dtype: 'uint8', dims: [], data: Uint8Array.of(value) });
    const grid = (scale: number, value: number) => [w.scalar('scale', scale), zero(value)];
    const x = w.input({ name: 'x', dtype: 'float32', shape: [2, 8, 9, 9] });
    const given = grid(0.021, 117);
    const codes = w.node('QuantizeLinear', 'codes', [x, ...given]);
    const conv = (
      name: string,
      input: string,
      from: string[],
      to: string[],
      middle = 128,
      size = 3,
      inner = 8,
    ) => {
      const data = Uint8Array.from({ length: 8 * inner * size * size }, () => random.integer(1, 255));
      const weight = w.constant(`${name}.w`, { dtype: 'uint8', dims: [8, inner, size, size], data });
      const bias = Int32Array.from({ length: 8 }, () => random.integer(-9000, 9000));
      const inputs = [
        ...[
          input,
          ...from,
          weight,
          w.floats(
            `${name}.scale`,
            random.floats(8, 0.001).map((v) => 0.004 + v),
          ),
        ],
        w.constant(`${name}.zero`, { dtype: 'uint8', dims: [8], data: new Uint8Array(8).fill(middle) }),
        ...[...to, w.constant(`${name}.b`, { dtype: 'int32', dims: [8], data: bias })],
      ];
      return w.node('QLinearConv', name, inputs, { pads: Array(4).fill(size >> 1) });
    };
    const [one, two, sum, all, mean] = [
      ...[grid(0.043, 140), grid(0.094, 121), grid(0.091, 130), grid(0.09, 127), grid(0.013, 122)],
    ];
    const first = conv('first', codes, given, one);
    const second = conv('second', first, one, two, weightZero);
    const microsoft = 'com.microsoft';
    const added = w.node('QLinearAdd', 'added', [second, ...two, codes, ...given, ...sum], {}, microsoft);
    const joined = [...all, added, ...sum, first, ...one];
    const cat = w.node('QLinearConcat', 'cat', joined, { axis: 1 }, microsoft);
    const pooled = w.node('QLinearGlobalAveragePool', 'pooled', [cat, ...all, ...mean], {}, microsoft);
    const last = grid(0.04, 128);
    const y = conv('last', pooled, mean, last, 128, 1, 16);
    return w.model([w.node('DequantizeLinear', 'y', [y, ...last])]);
  }

  test.each([128, 120])('weights with a zero point of %i', async (zero) => {
    for (let seed = 70; seed < 76; seed++) {
      const model = operators(zero, seed);
      const x: OnnxTensor = { dtype: 'float32', dims: [2, 8, 9, 9], data: seeded(seed).floats(1296, 2.4) };
      const session = await compile(gpu.runtime, readOnnx(writeOnnx(model)));
      const got = (await session.run({ x })).y.data;
      const kernels = new Set(session.plan().map(({ kernel }) => kernel));
      session.destroy();
      expect(got).toEqual((await runOnOrt(writeOnnx(model), { x })).y.data);
      const names = [...kernels].join();
      // Weights that are not symmetric have no layer: all operators run by themselves, exactly.
      expect(/conv2d-int8/.test(names), names).toBe(zero === 128);
    }
  });

  test.each([smallModel(), residualModel()])('those of a network that was quantized here', async (model) => {
    const images = pixelsOf(80, 4 * 192);
    const int8 = await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: images });
    const bytes = writeOnnx(int8, { format: 'qoperator' });
    const session = await compile(gpu.runtime, readOnnx(bytes), { batch: 4 });
    const x: OnnxTensor = {
      ...{ dtype: 'float32', dims: [4, 8, 8, 3] },
      data: Float32Array.from(images, (pixel) => pixel / 255),
    };
    const [got] = Object.values(await session.run({ input: x }));
    const kernels = session.plan().map(({ kernel }) => kernel);
    session.destroy();
    expect(got.data).toEqual(await ortOutput(bytes, images, [4, 8, 8, 3]));
    // A mean between quantizers would be one in integers, which ONNX Runtime computes in floats.
    const pooled = readOnnx(bytes).graph.nodes.some(({ op }) => op === 'AveragePool');
    expect(kernels.some((kernel) => kernel.startsWith('conv2d-int8'))).toBe(!pooled);
  });
});
