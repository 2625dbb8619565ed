// Which layers compute in integers: those with codes, and what lies between them.
import { describe, expect, test } from 'vitest';
import type { GraphModel, Node } from '../../src/graph/graph.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { runOnOrt } from '../support/onnx-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(412);
const tensor = (...dims: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(dims.reduce((a, b) => a * b)),
});
const positive = (...dims: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(dims.reduce((a, b) => a * b)).map((value) => Math.abs(value) + 0.2),
});
const node = (op: string, inputs: string[], output: string, attributes: Attributes = {}): Node => ({
  ...{ op, name: output, inputs, outputs: [output], attributes },
});
const conv = (input: string, output: string) =>
  node('Conv', [input, 'w', 'b'], output, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
const pool = (op: string, input: string, output: string) =>
  node(op, [input], output, { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] });
const norm = (input: string, output: string) =>
  node('BatchNormalization', [input, 'scale', 'b', 'b', 'scale'], output);

/** Kernels by the layer that they run, of a network calibrated on two inputs; ONNX Runtime gives what they give. */
async function planned(nodes: Node[], outputs: string[], tolerance = 1e-5): Promise<string[]> {
  const model: GraphModel = {
    graph: {
      name: 'mixed',
      opset: 21,
      inputs: [{ name: 'x', dtype: 'float32', shape: [1, 4, 6, 6] }],
      outputs,
      nodes,
    },
    parameters: new Map([
      ['w', tensor(4, 4, 3, 3)],
      ['b', tensor(4)],
      ['scale', positive(4)],
    ]),
  };
  const feeds = [{ x: tensor(1, 4, 6, 6) }, { x: tensor(1, 4, 6, 6) }];
  const quantized = await quantizeModel(gpu.runtime, model, {
    method: 'linear',
    bits: 8,
    calibration: feeds,
  });
  const bytes = writeOnnx(quantized, { format: 'qdq' });
  const plans: string[][] = [];
  for (const network of [quantized, readOnnx(bytes)]) {
    const session = await compile(gpu.runtime, network);
    const got = await session.run(feeds[0]);
    const theirs = await runOnOrt(bytes, feeds[0]);
    for (const name of outputs) {
      const want = theirs[name].data as Float32Array;
      const most = Math.max(...want.map(Math.abs));
      const apart = Math.max(...want.map((value, i) => Math.abs(value - (got[name].data[i] as number))));
      expect(apart / most, name).toBeLessThan(tolerance);
    }
    plans.push(session.plan().map(({ layer, kernel }) => `${layer} ${kernel}`));
    session.destroy();
  }
  expect(plans[1]).toEqual(plans[0]);
  return plans[0].filter((step) => /int8|element|add|concat|pool|batch-norm|depthwise/.test(step));
}

describe('in integers', () => {
  test('is what has no weights, between layers that have', async () => {
    const nodes = [
      conv('x', 'first'),
      pool('AveragePool', 'first', 'mean'),
      norm('mean', 'norm'),
      node('Add', ['norm', 'first'], 'sum'),
      conv('sum', 'last'),
    ];
    // A norm's summand is rounded to a 127th of a step here: now and then a code is the next one.
    const plan = await planned(nodes, ['last'], 0.01);
    expect(plan.map((step) => /int8/.test(step))).toEqual([true, true, true, true, true]);
  });

  test('are no means and factors that floats alone read, one after the other', async () => {
    const nodes = [conv('x', 'first'), pool('AveragePool', 'first', 'mean'), norm('mean', 'norm')];
    const plan = await planned(nodes, ['norm']);
    expect(plan.map((step) => /int8/.test(step))).toEqual([true, false, false]);
  });

  test('is no batch norm of an input that nobody else has in codes', async () => {
    const nodes = [norm('x', 'norm'), node('Sigmoid', ['norm'], 'gate'), conv('gate', 'last')];
    const plan = await planned(nodes, ['last', 'norm']);
    expect(plan.filter((step) => step.startsWith('norm')).some((step) => /int8/.test(step))).toBe(false);
  });

  test('is nothing that floats alone come into but a largest value', async () => {
    const nodes = [
      conv('x', 'first'),
      node('Sigmoid', ['first'], 'gate'),
      node('Add', ['gate', 'gate'], 'twice'),
      node('Relu', ['twice'], 'relu'),
      pool('MaxPool', 'relu', 'most'),
      conv('most', 'last'),
    ];
    const plan = await planned(nodes, ['last']);
    expect(plan.filter((step) => /^(twice|relu)/.test(step)).some((step) => /int8/.test(step))).toBe(false);
    expect(plan).toContainEqual(expect.stringMatching(/^most max-pool2d-int8/));
  });
});

describe('a pool whose quantizer has a grid of its own', () => {
  const scalar = (value: number): OnnxTensor => ({
    dtype: 'float32',
    dims: [],
    data: Float32Array.of(value),
  });
  const grids: [string, Node[]][] = [
    [
      'behind a Reshape',
      [
        node('ReduceMean', ['r'], 'mean', { axes: [2, 3] }),
        node('Reshape', ['mean', 'flat'], 'pooled'),
        node('MatMul', ['seen', 'm'], 'y'),
      ],
    ],
    [
      'as the largest',
      [
        node('MaxPool', ['r'], 'pooled', { kernel_shape: [2, 2], strides: [2, 2] }),
        node('Conv', ['seen', 'v'], 'y'),
      ],
    ],
    [
      'as a global pool, flattened',
      [
        node('GlobalAveragePool', ['r'], 'mean'),
        node('Flatten', ['mean'], 'pooled'),
        node('MatMul', ['seen', 'm'], 'y'),
      ],
    ],
  ];
  test.each(grids)('%s', async (_, pooling) => {
    const through = (input: string, codes: string, output: string, scale: string, zero: string) => [
      node('QuantizeLinear', [input, scale, zero], codes),
      node('DequantizeLinear', [codes, scale, zero], output),
    ];
    const weights = (name: string) => node('DequantizeLinear', [`${name} codes`, 'w scale'], name);
    const nodes = [
      ...through('x', 'x codes', 'xq', 'x scale', 'none'),
      ...['w', 'v', 'm'].map(weights),
      node('Conv', ['xq', 'w'], 'c', { pads: [1, 1, 1, 1] }),
      node('Relu', ['c'], 'relu'),
      ...through('relu', 'r codes', 'r', 'r scale', 'low'),
      ...pooling.slice(0, -1),
      ...through('pooled', 'p codes', 'seen', 'p scale', 'low'),
      ...pooling.slice(-1),
    ];
    const own = seeded(77);
    const codes = (...dims: number[]): OnnxTensor => ({
      dtype: 'int8',
      dims,
      data: own.int8s(dims.reduce((a, b) => a * b)),
    });
    const int8 = (value: number): OnnxTensor => ({ dtype: 'int8', dims: [], data: Int8Array.of(value) });
    const model: GraphModel = {
      graph: {
        name: 'pools',
        opset: 17,
        inputs: [{ name: 'x', dtype: 'float32', shape: [1, 4, 6, 6] }],
        outputs: ['y'],
        nodes,
      },
      parameters: new Map([
        // No sum is a tie on any of the grids.
        ['x scale', scalar(0.0301)],
        ['r scale', scalar(0.04)],
        ['p scale', scalar(0.025)],
        ['w scale', scalar(0.005)],
        ['none', int8(0)],
        ['low', int8(-128)],
        ['w codes', codes(8, 4, 3, 3)],
        ['v codes', codes(3, 8, 1, 1)],
        ['m codes', codes(8, 3)],
        ['flat', { dtype: 'int64', dims: [2], data: BigInt64Array.of(1n, 8n) } as OnnxTensor],
      ]),
    };
    const x = tensor(1, 4, 6, 6);
    const session = await compile(gpu.runtime, model);
    const kernels = session.plan().map(({ kernel }) => kernel);
    const got = (await session.run({ x })).y.data as Float32Array;
    session.destroy();
    expect(kernels.filter((kernel) => /int8/.test(kernel)).length).toBeGreaterThan(1);
    const want = (await runOnOrt(writeOnnx(model), { x }, false)).y.data as Float32Array;
    for (const [i, value] of want.entries()) expect(got[i]).toBeCloseTo(value, 5);
    expect(Math.max(...want.map(Math.abs))).toBeGreaterThan(0.3);
  });
});
