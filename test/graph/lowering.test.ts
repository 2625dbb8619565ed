// Small graphs that random ones were reduced to, held to their definition in float64.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import { type OnnxTensor, sizeOf } from '../../src/graph/ops/tensors.ts';
import { fromWords, numbersOf } from '../../src/graph/ops/value.ts';
import { interpretReference } from '../../src/reference/interpreter/interpret.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(5);
const floats = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);
const graph = (opset = 17) => new GraphWriter('reduced', opset);
const input = (w: GraphWriter, name: string, ...shape: number[]) =>
  w.input({ name, dtype: 'float32', shape });

/** Compiles and runs a graph, and holds every output to its definition. */
async function expectDefined(model: GraphModel, inputs: Record<string, OnnxTensor>): Promise<void> {
  const session = await compile(gpu.runtime, model);
  const got = await session.run(inputs);
  session.destroy();
  for (const [name, { dtype, dims, data }] of Object.entries(interpretReference(model, inputs))) {
    expect([name, got[name].dtype, got[name].dims]).toEqual([name, dtype, dims]);
    const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const apart = data.map((x, i) => Math.abs(Number(got[name].data[i]) - x));
    expect(Math.max(0, ...apart), name).toBeLessThanOrEqual(1e-5 * largest);
  }
}

test('an input whose third dimension becomes the channels', async () => {
  const w = graph();
  const turned = w.node('Transpose', 'turned', [input(w, 'x', 2, 3, 5, 4)], { perm: [0, 2, 3, 1] });
  const out = w.node('Conv', 'out', [turned, w.constant('w', floats(3, 5, 1, 2))]);
  await expectDefined(w.model([out]), { x: floats(2, 3, 5, 4) });
});

test('a Clip whose bounds are attributes behind a convolution', async () => {
  const w = graph(9);
  const made = w.node('Conv', 'made', [input(w, 'x', 1, 2, 4, 4), w.constant('w', floats(3, 2, 3, 3))]);
  const sum = w.node('Add', 'sum', [made, made]);
  const clips = [made, sum].map((name, i) => w.node('Clip', `clip${i}`, [name], { min: -0.5, max: 0.75 }));
  await expectDefined(w.model(clips), { x: floats(1, 2, 4, 4) });
});

test('networks that only give values other shapes, or none', async () => {
  const w = graph();
  const x = input(w, 'x', 2, 3, 1, 4);
  const turned = w.node('Transpose', 'turned', [x], { perm: [3, 1, 0, 2] });
  const flat = w.node('Flatten', 'flat', [turned], { axis: 2 });
  await expectDefined(w.model([turned, flat, x, w.constant('c', floats(2, 3))]), { x: floats(2, 3, 1, 4) });
});

test('a value that is there in both orders of a permutation that is not its own inverse', async () => {
  const w = graph(13);
  const [x, y] = [input(w, 'x', 5, 1, 4, 4), input(w, 'y', 5, 4, 4, 4)];
  const made = w.node('Conv', 'made', [x, w.constant('w', floats(4, 1, 1, 1))]);
  const turned = w.node('Transpose', 'turned', [made], { perm: [0, 2, 3, 1] });
  const sum = w.node('Add', 'sum', [turned, w.constant('b', floats(4))]);
  const mean = w.node('Mean', 'mean', [sum, y]);
  const out = w.node('MaxPool', 'out', [mean], { kernel_shape: [2, 2], strides: [2, 2] });
  await expectDefined(w.model([out]), { x: floats(5, 1, 4, 4), y: floats(5, 4, 4, 4) });
});

test('a list that two nodes share keeps its numbers where one of them is turned', async () => {
  const w = graph(18);
  const x = input(w, 'x', 1, 3, 4, 5);
  const made = w.node('Conv', 'made', [x, w.constant('w', floats(2, 3, 1, 1))]);
  const turned = w.node('Transpose', 'turned', [made], { perm: [0, 2, 3, 1] });
  const axes = w.integers('mean/axes', [1, 2]);
  const mean = w.node('ReduceMean', 'mean', [turned, axes]);
  const other = w.node('ReduceSum', 'other', [x, axes]);
  await expectDefined(w.model([mean, other]), { x: floats(1, 3, 4, 5) });
});

test('a transposed operand of one element beside a turned one', async () => {
  const w = graph();
  const made = w.node('GlobalMaxPool', 'made', [input(w, 'x', 1, 1, 5)]);
  const turned = w.node('Transpose', 'turned', [made], { perm: [0, 2, 1] });
  const one = w.node('Transpose', 'one', [w.node('ReduceL2', 'l2', [input(w, 'y', 3)])]);
  const both = w.node('Concat', 'both', [turned, w.constant('c', floats(2, 1, 1))], { axis: 0 });
  await expectDefined(w.model([w.node('Mul', 'out', [both, one])]), { x: floats(1, 1, 5), y: floats(3) });
});

test('a sum whose reader was turned, and which is turned itself', async () => {
  const w = graph(18);
  const x = input(w, 'x', 2, 2, 1, 3);
  const made = w.node(
    'ConvTranspose',
    'made',
    [w.node('Neg', 'n', [x]), w.constant('w', floats(2, 2, 3, 2))],
    {
      strides: [2, 1],
      group: 2,
    },
  );
  const sum = w.node('ReduceSum', 'sum', [x, w.integers('axes', [1, 2])]);
  const turned = w.node('Transpose', 'turned', [made], { perm: [0, 3, 1, 2] });
  await expectDefined(w.model([w.node('Sub', 'out', [sum, turned])]), { x: floats(2, 2, 1, 3) });
});

/** In integers every output is near its definition: within `tolerance` of its largest element. */
async function expectNear(model: GraphModel, inputs: Record<string, OnnxTensor>, tolerance = 0.2) {
  const quantized = await quantizeModel(gpu.runtime, model, {
    method: 'linear',
    bits: 8,
    calibration: [inputs],
  });
  const session = await compile(gpu.runtime, quantized);
  const got = await session.run(inputs);
  session.destroy();
  for (const [name, { data }] of Object.entries(interpretReference(model, inputs))) {
    const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const apart = numbersOf(got[name]).map((x, i) => Math.abs(x - data[i]));
    expect(Math.max(0, ...apart), name).toBeLessThanOrEqual(tolerance * largest);
  }
}

describe('in integers', () => {
  test('a float output keeps what an integer layer rounds for itself', async () => {
    const w = graph();
    const x = input(w, 'x', 2, 3, 4, 4);
    const conv = w.node('Conv', 'conv', [x, w.constant('w', floats(4, 3, 1, 1))]);
    const twice = w.node('Add', 'twice', [conv, conv]);
    const sigmoid = w.node('Tanh', 'tanh', [twice]);
    const clip = w.node('Clip', 'clip', [sigmoid, w.scalar('low', 0), w.scalar('high', 0.25)]);
    const turned = w.node('Transpose', 'turned', [sigmoid], { perm: [0, 2, 3, 1] });
    await expectNear(w.model([turned, clip]), { x: floats(2, 3, 4, 4) });
  });

  test('what changes nothing lies between two layers', async () => {
    const w = graph(18);
    const x = input(w, 'x', 1, 2, 4, 4);
    const attributes = { mode: 'linear', coordinate_transformation_mode: 'align_corners' };
    const sizes = w.integers('sizes', [1, 2, 4, 4]);
    const same = w.node('Resize', 'same', [w.node('Tanh', 'tanh', [x]), null, null, sizes], attributes);
    const conv = w.node('Conv', 'conv', [same, w.constant('w', floats(3, 2, 3, 3))]);
    await expectNear(w.model([conv]), { x: floats(1, 2, 4, 4) });
  });

  test('inputs that are empty, or float16', async () => {
    const w = graph();
    const half = (dims: number[]) => fromWords('float16', dims, random.floats(sizeOf(dims)));
    const x = w.input({ name: 'x', dtype: 'float16', shape: [1, 2, 4, 4] });
    const conv = w.node('Conv', 'conv', [x, w.constant('w', half([3, 2, 3, 3]))]);
    const none = w.node('Relu', 'relu', [input(w, 'none', 2, 0, 3)]);
    await expectNear(w.model([conv, none]), { x: half([1, 2, 4, 4]), none: floats(2, 0, 3) });
  });
});
