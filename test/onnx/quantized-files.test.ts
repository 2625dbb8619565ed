// Quantized networks as ONNX files: ONNX Runtime runs them to the integers that run here, and they come back as they were.
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import { importQdq } from '../../src/model/import-qdq.ts';
import { topOne } from '../../src/model/metrics.ts';
import { quantizeModel } from '../../src/model/precision.ts';
import { isQuantized, type QuantizedModel } from '../../src/model/quantized-model.ts';
import { compile } from '../../src/model/session.ts';
import { vgg } from '../../src/model/vgg.ts';
import { type OnnxFormat, readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { initialize } from '../../src/train/initialize.ts';
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
