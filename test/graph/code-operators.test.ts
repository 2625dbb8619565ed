import { expect, test } from 'vitest';
import { concreteGraph } from '../../src/graph/concrete.ts';
import type { GraphModel, Node } from '../../src/graph/graph.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { numbersOf } from '../../src/graph/ops/value.ts';
import { compile } from '../../src/run/session.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { f32, i8, reshape, u8 } from '../support/onnx-tensors.ts';
import { firstApart, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(17);
const node = (
  op: string,
  inputs: (string | null)[],
  outputs: string[],
  attributes: Attributes = {},
): Node => ({
  ...{ op, name: outputs[0], inputs, outputs, attributes },
});

function model(
  nodes: Node[],
  parameters: Record<string, OnnxTensor>,
  shape: number[],
  outputs: string[],
): GraphModel {
  const inputs = [{ name: 'x', dtype: 'float32' as const, shape }];
  return {
    graph: { name: 'quantized', opset: 21, inputs, outputs, nodes },
    parameters: new Map(Object.entries(parameters)),
  };
}

/** What the network gives on the host; compiled for the GPU it gives the same, floats within 1e-5. */
async function outputsOf(made: GraphModel, x: OnnxTensor): Promise<Record<string, OnnxTensor>> {
  const expected = interpretGraph(made, { x });
  const session = await compile(gpu.runtime, made);
  try {
    const received = await session.run({ x });
    for (const [name, { dims, dtype, data }] of Object.entries(expected)) {
      expect(received[name]).toMatchObject({ dtype, dims });
      const tolerance = dtype === 'float32' ? 1e-5 : 0;
      expect(firstApart(numbersOf(received[name]), data as Float32Array, tolerance), name).toBe(-1);
    }
  } finally {
    session.destroy();
  }
  return expected;
}

const numbers = ({ data }: OnnxTensor) => Array.from(data as Float32Array);

test('a dynamically quantized product is planned without its scale, and near the float one', async () => {
  const [M, K, N] = [5, 40, 7];
  const weights = randomTensor(random, 'int8', [K, N]);
  const x = randomTensor(random, 'float32', [M, K], 1);
  const y = await outputsOf(
    model(
      [
        node('DynamicQuantizeLinear', ['x'], ['codes', 'scale', 'zero']),
        node('MatMulInteger', ['codes', 'weights', 'zero', 'weight zeros'], ['sums']),
        node('Cast', ['sums'], ['floats'], { to: 1 }),
        node('Mul', ['scale', 'weight scales'], ['factor']),
        node('Mul', ['floats', 'factor'], ['y']),
        node('DynamicQuantizeMatMul', ['x', 'weights', 'weight scales', 'weight zeros'], ['fused']),
      ],
      {
        weights,
        'weight scales': f32(...Array.from({ length: N }, (_, n) => 0.01 + n / 500)),
        'weight zeros': i8(...Array.from({ length: N }, (_, n) => n - 3)),
      },
      [M, K],
      ['y', 'fused', 'codes', 'zero', 'sums'],
    ),
    x,
  );
  const [data, w] = [numbers(x), numbers(weights)];
  for (let i = 0; i < M * N; i++) {
    const n = i % N;
    let sum = 0;
    let size = 0;
    for (let k = 0; k < K; k++) {
      const weight = (w[k * N + n] - (n - 3)) * (0.01 + n / 500);
      sum += data[Math.floor(i / N) * K + k] * weight;
      size += Math.abs(weight);
    }
    // Every input is off by at most half a step of (max - min) / 255.
    const step = (Math.max(0, ...data) - Math.min(0, ...data)) / 255;
    expect(Math.abs(numbers(y.y)[i] - sum)).toBeLessThan(step * size * 0.51);
    expect(Math.abs(numbers(y.fused)[i] - numbers(y.y)[i])).toBeLessThan(1e-4 * size);
  }
  expect(y.y.dims).toEqual([M, N]);
});

test('quantized layers in a row: constants fold, codes are inferred', async () => {
  const shape = [1, 3, 6, 6];
  const parameters = {
    ...{
      's x': f32(0.03),
      'z x': u8(120),
      's w': f32(0.02, 0.03, 0.01, 0.05),
      's y': f32(0.1),
      'z y': u8(9),
    },
    ...{
      'float weights': randomTensor(random, 'float32', [4, 3, 3, 3], 1),
      'z w': reshape(i8(0, 0, 0, 0), 4),
    },
    bias: { dtype: 'int32', dims: [4], data: Int32Array.of(100, -200, 300, 0) } as OnnxTensor,
  };
  const made = model(
    [
      node('QuantizeLinear', ['x', 's x', 'z x'], ['codes']),
      node('QuantizeLinear', ['float weights', 's w', 'z w'], ['weights'], { axis: 0 }),
      node('QLinearConv', ['codes', 's x', 'z x', 'weights', 's w', 'z w', 's y', 'z y', 'bias'], ['conv'], {
        pads: [1, 1, 1, 1],
      }),
      node('QLinearAdd', ['conv', 's y', 'z y', 'conv', 's y', 'z y', 's x', 'z x'], ['twice']),
      node('DequantizeLinear', ['twice', 's x', 'z x'], ['y']),
      node('DequantizeLinear', ['conv', 's y', 'z y'], ['once']),
    ],
    parameters,
    shape,
    ['y', 'once', 'conv', 'twice'],
  );
  const graph = concreteGraph(made);
  // The weights' own node is gone: they are constants.
  expect(graph.nodes.map(({ name }) => name)).toEqual(['codes', 'conv', 'twice', 'y', 'once']);
  expect(graph.values.get('weights')).toMatchObject({ dtype: 'int8', dims: [4, 3, 3, 3] });
  expect(graph.values.get('conv')).toEqual({ dtype: 'uint8', dims: [1, 4, 6, 6] });
  const x = randomTensor(random, 'float32', shape, 1);
  const { y, once, conv, twice } = await outputsOf(made, x);
  expect([conv.dtype, twice.dtype]).toEqual(['uint8', 'uint8']);
  // A sum of two equal values by another scale, saturated at that scale's ends.
  const scale = Math.fround(0.03);
  for (const [i, value] of numbers(once).entries()) {
    const expected = Math.min(Math.max(2 * value, -120 * scale), 135 * scale);
    expect(Math.abs(numbers(y)[i] - expected)).toBeLessThan(scale * 0.51);
  }
  expect(new Set(numbers(once)).size).toBeGreaterThan(20);
});
