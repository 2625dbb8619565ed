import { describe, expect, test } from 'vitest';
import type { GraphModel, Node } from '../../src/graph/graph.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { fuseGraph } from '../../src/lower/fuse.ts';
import { seeded } from '../support/runtime.ts';

const random = seeded(88);
const CHANNELS = 3;
const tensor = (...dims: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(dims.reduce((a, b) => a * b)).map((value) => Math.abs(value) + 0.5),
});

/** Each operator on what the one before it leaves. */
function chain(...operators: [op: string, constants?: readonly string[], attributes?: Attributes][]) {
  const nodes: Node[] = operators.map(([op, constants = [], attributes = {}], i) => ({
    ...{ op, name: `${op}${i}`, attributes },
    inputs: [i === 0 ? 'x' : `${i - 1}`, ...constants],
    outputs: [`${i}`],
  }));
  const model: GraphModel = {
    graph: {
      name: 'chain',
      opset: 21,
      inputs: [{ name: 'x', dtype: 'float32', shape: [1, CHANNELS, 8, 8] }],
      outputs: [`${operators.length - 1}`],
      nodes,
    },
    parameters: new Map<string, OnnxTensor>([
      ['w', tensor(CHANNELS, CHANNELS, 1, 1)],
      ['a', tensor(CHANNELS)],
      ['b', tensor(CHANNELS)],
      ['each', tensor(CHANNELS, 1, 1)],
      ['pixels', tensor(8, 8)],
    ]),
  };
  return fuseGraph(model).layers.map(({ kind, name, output }) => `${kind} ${name} ${output}`);
}
const conv: [string, string[]] = ['Conv', ['w', 'a']];
const norm: [string, string[]] = ['BatchNormalization', ['a', 'b', 'a', 'b']];
const pool: [string, string[], Attributes] = ['MaxPool', [], { kernel_shape: [2, 2], strides: [2, 2] }];

describe('a convolution takes in what follows it', () => {
  test('a norm, factors and summands of a channel, an activation, a pool', () => {
    expect(chain(conv, norm, ['Mul', ['each']], ['Add', ['each']], ['Relu'], pool)).toEqual([
      'conv2d Conv0 5',
    ]);
  });

  test('no norm and no factor after an activation or a pool: it is no longer affine in between', () => {
    expect(chain(conv, ['Relu'], norm)).toEqual(['conv2d Conv0 1', 'conv2d BatchNormalization2 2']);
    expect(chain(conv, ['Relu'], ['Mul', ['each']])[0]).toBe('conv2d Conv0 1');
    expect(chain(conv, pool, norm)).toEqual(['conv2d Conv0 1', 'conv2d BatchNormalization2 2']);
  });

  test('two activations whose bounds meet, and none that keep what is not 0 away from it', () => {
    expect(chain(conv, ['Relu'], ['Relu'])).toEqual(['conv2d Conv0 2']);
    expect(chain(conv, ['Abs'])).toHaveLength(2);
  });

  test('no factor of a pixel of its own', () => {
    expect(chain(conv, ['Mul', ['pixels']])).toHaveLength(2);
  });

  test('one pool, of two by two pixels', () => {
    expect(chain(conv, pool, pool)).toEqual(['conv2d Conv0 1', 'maxPool MaxPool2 2']);
    expect(chain(conv, ['MaxPool', [], { kernel_shape: [3, 3], strides: [2, 2] }])).toHaveLength(2);
  });
});
