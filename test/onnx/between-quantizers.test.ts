// ONNX Runtime's operators of floats between quantizers of their own, in a network: as codes, and as QDQ.
import { expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { qdqOfOperators } from '../../src/onnx/qoperator-import.ts';
import { compile } from '../../src/run/session.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const microsoft = 'com.microsoft';
const [MEAN_SCALE, LAST_SCALE] = [0.03, 0.009];

/** A convolution's codes, averaged; and where a mask says so their softmax in their place. */
function network(seed: number): GraphModel {
  const w = new GraphWriter('between', 17);
  const random = seeded(seed);
  const grid = (scale: number, zero: number) => [
    w.scalar('scale', scale),
    w.constant('zero', { dtype: 'uint8', dims: [], data: Uint8Array.of(zero) }),
  ];
  const x = w.input({ name: 'x', dtype: 'float32', shape: [2, 4, 8, 8] });
  const mask = w.input({ name: 'mask', dtype: 'bool', shape: [2, 1, 4, 4] });
  const [given, made, mean, share, last] = [
    ...[grid(0.021, 117), grid(0.043, 140), grid(MEAN_SCALE, 121), grid(1 / 256, 0), grid(LAST_SCALE, 99)],
  ];
  const codes = w.node('QuantizeLinear', 'codes', [x, ...given]);
  const weight = randomTensor(random, 'uint8', [8, 4, 3, 3]);
  const middle: OnnxTensor = { dtype: 'uint8', dims: [8], data: new Uint8Array(8).fill(128) };
  const conv = w.node(
    'QLinearConv',
    'conv',
    [
      ...[codes, ...given, w.constant('w', weight)],
      ...[w.floats('w.scale', new Float32Array(8).fill(0.005)), w.constant('w.zero', middle), ...made],
    ],
    { pads: [1, 1, 1, 1] },
  );
  const window = { kernel_shape: [2, 2], strides: [2, 2] };
  const pooled = w.node('QLinearAveragePool', 'pooled', [conv, ...made, ...mean], window, microsoft);
  const axis = { axis: 1, opset: 13 };
  const soft = w.node('QLinearSoftmax', 'soft', [pooled, ...mean, ...share], axis, microsoft);
  const either = [mask, soft, ...share, pooled, ...mean, ...last];
  const chosen = w.node('QLinearWhere', 'chosen', either, {}, microsoft);
  return w.model([w.node('DequantizeLinear', 'y', [chosen, ...last])]);
}

const feeds = (seed: number): Record<string, OnnxTensor> => ({
  x: { dtype: 'float32', dims: [2, 4, 8, 8], data: seeded(seed).floats(512, 2.4) },
  mask: randomTensor(seeded(seed + 1), 'bool', [2, 1, 4, 4]),
});

async function own(model: GraphModel, inputs: Record<string, OnnxTensor>): Promise<Float32Array> {
  const session = await compile(gpu.runtime, readOnnx(writeOnnx(model)));
  try {
    return (await session.run(inputs)).y.data as Float32Array;
  } finally {
    session.destroy();
  }
}

test.each([90, 91, 92, 93])('operators on codes give ONNX Runtime’s codes (%i)', async (seed) => {
  const model = network(seed);
  const inputs = feeds(seed);
  expect(await own(model, inputs)).toEqual((await runOnOrt(writeOnnx(model), inputs)).y.data);
});

test('as QDQ they are a pool, a softmax and a choice, a code of the pool apart at most', async () => {
  const model = network(94);
  const inputs = feeds(94);
  const qdq = qdqOfOperators(model);
  const operators = qdq.graph.nodes.map(({ op }) => op).filter((op) => !/uantizeLinear$/.test(op));
  expect(operators).toEqual(['Conv', 'AveragePool', 'Softmax', 'Where']);
  const want = (await runOnOrt(writeOnnx(model), inputs)).y.data as Float32Array;
  const got = (await runOnOrt(writeOnnx(qdq), inputs)).y.data as Float32Array;
  const apart = want.map((value, i) => Math.abs(value - got[i]));
  // QuantizeLinear rounds before it adds the zero point, the pool of codes after it.
  expect(Math.max(...apart)).toBeLessThan(MEAN_SCALE + LAST_SCALE);
  expect(apart.filter((by) => by > LAST_SCALE / 2).length).toBeLessThan(want.length / 20);
});
