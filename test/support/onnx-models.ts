import * as node from 'onnxruntime-node';
import type { GraphModel, ValueInfo } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { seeded } from './runtime.ts';

/** Small graphs of many kinds, each with inputs and what is known of its outputs. */

export const floats = (seed: number, ...dims: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: Float32Array.from(
    seeded(seed).floats(
      dims.reduce((a, b) => a * b, 1),
      1,
    ),
  ),
});
export const of = (dtype: OnnxTensor['dtype'], dims: number[], data: OnnxTensor['data']) =>
  ({ dtype, dims, data }) as OnnxTensor;
export const float = (name: string, ...shape: ValueInfo['shape']): ValueInfo => ({
  name,
  dtype: 'float32',
  shape,
});

export interface ModelCase {
  model: GraphModel;
  feeds: Record<string, OnnxTensor>;
  /** Shapes that the file says its outputs have. */
  shapes?: (readonly (number | string)[])[];
  /** What it must give, where the interpreter has not all of its operators. */
  expected?: OnnxTensor[];
}

export function classifier(): ModelCase {
  const w = new GraphWriter('classifier', 17);
  const x = w.input(float('x', 'batch', 3, 9, 9));
  const conv = w.node(
    'Conv',
    'conv',
    [x, w.constant('w', floats(1, 8, 3, 3, 3)), w.constant('b', floats(2, 8))],
    {
      ...{ kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2], dilations: [1, 1], group: 1 },
    },
  );
  const positive = of(
    'float32',
    [8],
    (floats(6, 8).data as Float32Array).map((v) => v * v + 0.5),
  );
  const norm = w.node(
    'BatchNormalization',
    'norm',
    [
      conv,
      w.constant('s', floats(3, 8)),
      w.constant('o', floats(4, 8)),
      w.constant('m', floats(5, 8)),
      w.constant('v', positive),
    ],
    { epsilon: Math.fround(1e-3), momentum: 1 },
  );
  const relu = w.node('LeakyRelu', 'relu', [norm], { alpha: 1 });
  const pool = w.node('MaxPool', 'pool', [relu], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 });
  const flat = w.node('Flatten', 'flat', [pool], { axis: 1 });
  const gemm = w.node(
    'Gemm',
    'gemm',
    [flat, w.constant('fc', floats(7, 10, 72)), w.constant('fb', floats(8, 10))],
    {
      ...{ alpha: 2, beta: 3, transB: 1 },
    },
  );
  const y = w.node('Softmax', 'y', [gemm], { axis: -1 });
  return {
    model: w.model([y, pool]),
    feeds: { x: floats(9, 2, 3, 9, 9) },
    shapes: [
      ['batch', 10],
      ['batch', 8, 3, 3],
    ],
  };
}

export function arithmetic(): ModelCase {
  const w = new GraphWriter('arithmetic', 18);
  const a = w.input(float('a', 'n', 1, 4));
  const b = w.input(float('b', 3, 4));
  const i = w.input({ name: 'i', dtype: 'int32', shape: [2] });
  const sum = w.node('Add', 'sum', [a, b]);
  const less = w.node('Less', 'less', [sum, w.scalar('half', 0.5)]);
  const where = w.node('Where', 'where', [less, sum, b]);
  const cast = w.node('Cast', 'cast', [where], { to: 6 });
  const gathered = w.node('Gather', 'gathered', [where, i], { axis: 2 });
  const clip = w.node('Clip', 'clip', [gathered, null, w.scalar('top', 1)]);
  const elu = w.node('Elu', 'elu', [clip], { alpha: 2 });
  return {
    model: w.model([less, cast, elu]),
    feeds: { a: floats(1, 2, 1, 4), b: floats(2, 3, 4), i: of('int32', [2], Int32Array.of(3, 0)) },
    shapes: [
      ['n', 3, 4],
      ['n', 3, 4],
      ['n', 3, 2],
    ],
  };
}

export function moves(): ModelCase {
  const w = new GraphWriter('moves', 13);
  const x = w.input(float('x', 'n', 'h', 6));
  const shape = w.node('Shape', 'shape', [x]);
  const n = w.node('Gather', 'n', [shape, w.integers('zero', [0])], { axis: 0 });
  const target = w.node('Concat', 'target', [n, w.integers('rest', [-1, 3])], { axis: 0 });
  const reshaped = w.node('Reshape', 'reshaped', [x, target]);
  const last = 2n ** 63n - 1n;
  const ends = w.constant('ends', of('int64', [2], BigInt64Array.of(last, -1n)));
  const slice = w.node('Slice', 'slice', [
    reshaped,
    w.integers('starts', [1, 0]),
    ends,
    w.integers('axes', [1, 2]),
  ]);
  const pad = w.node('Pad', 'pad', [slice, w.integers('pads', [0, 1, 0, 0, 0, 2]), w.scalar('fill', 7)], {
    mode: 'constant',
  });
  const parts = w.several('Split', 'parts', [pad, w.integers('sizes', [1, 3])], { axis: 2 }, 2);
  const turned = w.node('Transpose', 'turned', [parts[1]], { perm: [2, 0, 1] });
  return {
    model: w.model([turned, parts[0]]),
    feeds: { x: floats(3, 2, 4, 6) },
    shapes: [
      [3, 'n', 'turned:2'],
      ['n', 'parts:1', 1],
    ],
  };
}

export function old(): ModelCase {
  const w = new GraphWriter('old', 9);
  const x = w.input(float('x', 1, 2, 3, 2));
  const clip = w.node('Clip', 'clip', [x], { min: -1, max: 1 });
  const up = w.node(
    'Upsample',
    'up',
    [clip, w.constant('scales', of('float32', [4], Float32Array.of(1, 1, 2, 3)))],
    { mode: 'nearest' },
  );
  const slice = w.node('Slice', 'slice', [up], {
    starts: [1],
    ends: BigInt64Array.of(2n ** 63n - 1n),
    axes: [2],
  });
  const selu = w.node('Selu', 'selu', [slice], { alpha: 2, gamma: 1 });
  return { model: w.model([selu]), feeds: { x: floats(4, 1, 2, 3, 2) }, shapes: [[1, 2, 5, 6]] };
}

export function halves(): ModelCase {
  const w = new GraphWriter('halves', 17);
  const x = w.input({ name: 'x', dtype: 'float16', shape: [2, 2] });
  const y = w.node('Add', 'y', [x, w.constant('w', of('float16', [2], Uint16Array.of(0x3c00, 0xc000)))]);
  return {
    model: w.model([y]),
    feeds: { x: of('float16', [2, 2], Uint16Array.of(0x4000, 0x4200, 0, 0x8000)) },
    shapes: [[2, 2]],
  };
}

/** y = x with 8-bit codes, times 4-bit weights of blocks of two; the interpreter is not asked. */
export function quantized(): ModelCase {
  const w = new GraphWriter('quantized', 21);
  const x = w.input(float('x', 1, 4));
  const scale = w.scalar('scale', 0.5);
  const zero = w.constant('zero', of('uint8', [], Uint8Array.of(3)));
  const codes = w.node('QuantizeLinear', 'codes', [x, scale, zero]);
  const back = w.node('DequantizeLinear', 'back', [codes, scale, zero]);
  const weights = w.constant(
    'weights',
    of('int4', [4, 3], Int8Array.from([-8, 7, 1, -1, 0, 2, 3, -3, 5, 4, -5, 6])),
  );
  const scales = w.constant('scales', of('float32', [2, 3], Float32Array.of(1, 2, 0.5, 0.25, 1, 4)));
  const wide = w.node('DequantizeLinear', 'wide', [weights, scales], { axis: 0, block_size: 2 });
  const y = w.node('MatMul', 'y', [back, wide]);
  return {
    model: w.model([y]),
    feeds: { x: of('float32', [1, 4], Float32Array.of(1, -0.5, 0.25, 100)) },
    // Codes 5, 2, 3 (0.5 ties to even: 0), 203; values 1, -0.5, 0, 100.
    expected: [of('float32', [1, 3], Float32Array.of(-8 + 0.5 + 100, 14 - 0 - 500, 0.5 - 0.5 + 2400))],
  };
}

export function integers(): ModelCase {
  const w = new GraphWriter('integers', 13);
  const x = w.input({ name: 'x', dtype: 'uint8', shape: [1, 1, 2, 2] });
  const bytes = (name: string, dims: number[], ...values: number[]) =>
    w.constant(name, of('int8', dims, Int8Array.from(values)));
  const zero = w.constant('zero', of('uint8', [], Uint8Array.of(1)));
  const [one, two] = [w.scalar('one', 1), w.constant('two', of('float32', [1], Float32Array.of(2)))];
  const kernel = bytes('kernel', [1, 1, 1, 1], -3);
  const bias = w.constant('bias', of('int32', [1], Int32Array.of(40)));
  const conv = w.node(
    'QLinearConv',
    'conv',
    [x, one, zero, kernel, two, bytes('wz', [1], 0), one, zero, bias],
    { kernel_shape: [1, 1] },
  );
  const sum = w.node(
    'QLinearAdd',
    'sum',
    [conv, one, zero, x, one, zero, w.scalar('2', 2), zero],
    {},
    'com.microsoft',
  );
  return {
    model: w.model([conv, sum]),
    feeds: { x: of('uint8', [1, 1, 2, 2], Uint8Array.of(1, 3, 11, 9)) },
    // (x - 1) * -3 * 2 + 40 * 2 + 1, then ((conv - 1) + (x - 1)) / 2 + 1.
    expected: [
      of('uint8', [1, 1, 2, 2], Uint8Array.of(81, 69, 21, 33)),
      of('uint8', [1, 1, 2, 2], Uint8Array.of(41, 36, 16, 21)),
    ],
  };
}

export function codebook(): ModelCase {
  const w = new GraphWriter('codebook', 13);
  const x = w.input(float('x', 'n', 2));
  const codes = w.constant('codes', of('uint8', [2, 2], Uint8Array.of(1, 0, 1, 2)));
  const wide = w.node('Cast', 'wide', [codes], { to: 6 });
  const weights = w.node(
    'Gather',
    'weights',
    [w.constant('book', of('float32', [3], Float32Array.of(-1, 0.5, 2))), wide],
    { axis: 0 },
  );
  return {
    model: w.model([w.node('MatMul', 'y', [x, weights])]),
    feeds: { x: floats(1, 3, 2) },
    shapes: [['n', 2]],
  };
}

/** An operator that doesn't run here: its outputs are written without a type, which ONNX Runtime infers. */
export function foreign(): ModelCase {
  const w = new GraphWriter('foreign', 13);
  const [values, indices] = w.several('Unique', 'unique', [w.input(float('x', 4))], { sorted: 1 }, 2);
  return {
    model: w.model([values, indices]),
    feeds: { x: of('float32', [4], Float32Array.of(3, 9, -1, 9)) },
    expected: [of('float32', [3], Float32Array.of(-1, 3, 9)), of('int64', [3], BigInt64Array.of(2n, 0n, 1n))],
  };
}

/** An output that is a constant, one that is an input, and names that are no identifiers. */
export function direct(): ModelCase {
  const w = new GraphWriter('', 17);
  const x = w.input(float('in/put: "é"', 2));
  const y = w.node('Mul', 'y\n', [x, w.constant(' ', floats(3, 2))]);
  return {
    model: { ...w.model([y]), graph: { ...w.model([y]).graph, name: 'g' } },
    feeds: { [x]: floats(1, 2) },
    shapes: [[2]],
  };
}

/** A file's outputs by ONNX Runtime, nothing optimised unless asked for; by its WebAssembly build where that is handed in. */
export async function runOnOrt(
  bytes: Uint8Array,
  feeds: Record<string, OnnxTensor>,
  optimized = false,
  ort: typeof import('onnxruntime-node') = node,
): Promise<Record<string, node.Tensor>> {
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [ort === node ? 'cpu' : 'wasm'],
    graphOptimizationLevel: optimized ? 'all' : 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const inputs = Object.entries(feeds).map(([name, { dtype, dims, data }]) => [
    name,
    new ort.Tensor(dtype as 'float32', data as Float32Array, dims),
  ]);
  const outputs = await session.run(Object.fromEntries(inputs));
  await session.release();
  return outputs;
}
