import type { Tensor } from '../../src/gpu/tensor.ts';
import type { ImageGraph, ImageModel, ImageNode } from '../../src/model/graph.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { seeded } from './runtime.ts';

const same = { kernel: [3, 3], pads: [1, 1, 1, 1] } as const;
const point = { kernel: [1, 1] } as const;

/** conv and batch norm under one name. */
function normalized(
  name: string,
  input: string,
  conv: Omit<ImageNode & { op: 'conv2d' }, 'op' | 'name' | 'inputs'>,
) {
  return [
    { op: 'conv2d', name: `${name}.conv`, inputs: [input], ...conv },
    { op: 'batchNorm', name, inputs: [`${name}.conv`] },
  ] satisfies ImageNode[];
}

/**
 * A residual network whose channels fill no word: a plain block, one that halves the image with a sum of three, and a
 * pre-activation block, whose ReLU is not the only reader of the sum before it.
 */
export const residualGraph: ImageGraph = {
  name: 'residual',
  input: { name: 'x', height: 9, width: 7, channels: 3 },
  nodes: [
    ...normalized('stem', 'x', { ...same, outChannels: 6 }),
    { op: 'relu', name: 'stem.relu', inputs: ['stem'] },
    ...normalized('a1', 'stem.relu', { ...same, outChannels: 6 }),
    { op: 'relu', name: 'a1.relu', inputs: ['a1'] },
    ...normalized('a2', 'a1.relu', { ...same, outChannels: 6 }),
    { op: 'add', name: 'a', inputs: ['a2', 'stem.relu'] },
    { op: 'relu', name: 'a.relu', inputs: ['a'] },
    ...normalized('b1', 'a.relu', { ...same, strides: [2, 2], outChannels: 10 }),
    { op: 'relu', name: 'b1.relu', inputs: ['b1'] },
    ...normalized('b2', 'b1.relu', { ...same, outChannels: 10 }),
    ...normalized('b3', 'a.relu', { ...point, strides: [2, 2], outChannels: 10 }),
    ...normalized('b4', 'stem.relu', { ...point, strides: [2, 2], outChannels: 10 }),
    { op: 'add', name: 'b', inputs: ['b2', 'b3', 'b4'] },
    { op: 'relu6', name: 'b.relu', inputs: ['b'] },
    { op: 'conv2d', name: 'c1', inputs: ['b.relu'], ...same, outChannels: 10, groups: 5 },
    { op: 'add', name: 'c', inputs: ['b.relu', 'c1'] },
    { op: 'identity', name: 'c.same', inputs: ['c'] },
    { op: 'relu', name: 'd.relu', inputs: ['c.same'] },
    ...normalized('d1', 'd.relu', { ...same, outChannels: 10 }),
    { op: 'add', name: 'd', inputs: ['d1', 'c'] },
    { op: 'globalAveragePool', name: 'pool', inputs: ['d'] },
    { op: 'flatten', name: 'flat', inputs: ['pool'] },
    { op: 'linear', name: 'fc', inputs: ['flat'], outFeatures: 5 },
  ],
  output: 'fc',
};

/**
 * An inception-like network: branches of 5, 6, 3 and 7 channels, a concatenation with the image itself and a ReLU
 * fused into it, a concatenation of a concatenation, a ReLU after a pool, and a node that nobody needs.
 */
export const inceptionGraph: ImageGraph = {
  name: 'inception',
  input: { name: 'x', height: 8, width: 6, channels: 3 },
  nodes: [
    { op: 'conv2d', name: 'stem', inputs: ['x'], ...same, outChannels: 7 },
    { op: 'relu', name: 'stem.relu', inputs: ['stem'] },
    { op: 'conv2d', name: 'a', inputs: ['stem.relu'], ...point, outChannels: 5 },
    { op: 'relu', name: 'a.relu', inputs: ['a'] },
    { op: 'conv2d', name: 'b1', inputs: ['stem.relu'], ...point, outChannels: 3 },
    { op: 'relu', name: 'b1.relu', inputs: ['b1'] },
    { op: 'conv2d', name: 'b2', inputs: ['b1.relu'], ...same, outChannels: 6 },
    { op: 'maxPool', name: 'c1', inputs: ['stem.relu'], ...same, strides: [1, 1] },
    { op: 'conv2d', name: 'c2', inputs: ['c1'], ...point, outChannels: 3 },
    { op: 'averagePool', name: 'd', inputs: ['stem.relu'], ...same, strides: [1, 1] },
    { op: 'concat', name: 'cat', inputs: ['a.relu', 'b2', 'c2', 'd'] },
    { op: 'conv2d', name: 'nobody', inputs: ['cat'], ...point, outChannels: 9 },
    {
      op: 'conv2d',
      name: 'e',
      inputs: ['stem'],
      kernel: [3, 3],
      pads: [2, 2, 2, 2],
      dilations: [2, 2],
      outChannels: 2,
    },
    { op: 'concat', name: 'dense', inputs: ['x', 'cat', 'e'] },
    { op: 'relu', name: 'dense.relu', inputs: ['dense'] },
    { op: 'conv2d', name: 'f', inputs: ['dense.relu'], ...same, outChannels: 9 },
    { op: 'maxPool', name: 'f.pool', inputs: ['f'], kernel: [2, 2], strides: [2, 2] },
    { op: 'relu', name: 'f.relu', inputs: ['f.pool'] },
    { op: 'maxPool', name: 'g', inputs: ['dense.relu'], kernel: [3, 3], strides: [2, 2], pads: [1, 1, 0, 0] },
    { op: 'relu6', name: 'g.relu', inputs: ['g'] },
    { op: 'concat', name: 'last', inputs: ['f.relu', 'g.relu', 'f.relu'] },
    { op: 'flatten', name: 'flat', inputs: ['last'] },
    { op: 'linear', name: 'fc', inputs: ['flat'], outFeatures: 5 },
  ],
  output: 'fc',
};

/**
 * A pre-activation network: batch norm comes before its convolution, so after the image itself, a concatenation, a pool
 * and a sum, where there is nothing to fold it into.
 */
export const preactivationGraph: ImageGraph = {
  name: 'preactivation',
  input: { name: 'x', height: 8, width: 7, channels: 3 },
  nodes: [
    { op: 'batchNorm', name: 'norm', inputs: ['x'] },
    { op: 'conv2d', name: 'stem', inputs: ['norm'], ...same, outChannels: 6 },
    { op: 'batchNorm', name: 'a0', inputs: ['stem'] },
    { op: 'relu', name: 'a0.relu', inputs: ['a0'] },
    { op: 'conv2d', name: 'a1', inputs: ['a0.relu'], ...same, outChannels: 5 },
    { op: 'concat', name: 'dense', inputs: ['stem', 'a1'] },
    { op: 'batchNorm', name: 'b0', inputs: ['dense'] },
    { op: 'relu', name: 'b0.relu', inputs: ['b0'] },
    { op: 'conv2d', name: 'b1', inputs: ['b0.relu'], ...point, outChannels: 11 },
    { op: 'add', name: 'sum', inputs: ['b1', 'dense'] },
    { op: 'maxPool', name: 'pool', inputs: ['sum'], kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    { op: 'batchNorm', name: 'c0', inputs: ['pool'] },
    { op: 'relu6', name: 'c0.relu', inputs: ['c0'] },
    { op: 'maxPool', name: 'c0.pool', inputs: ['c0.relu'], kernel: [2, 2], strides: [2, 2] },
    { op: 'conv2d', name: 'c1', inputs: ['c0.pool'], ...same, outChannels: 9 },
    { op: 'globalAveragePool', name: 'mean', inputs: ['c1'] },
    { op: 'flatten', name: 'flat', inputs: ['mean'] },
    { op: 'linear', name: 'fc', inputs: ['flat'], outFeatures: 5 },
  ],
  output: 'fc',
};

/** Seeded parameters: weights by He's initialisation, biases, and batch norm away from the identity. */
export function withParameters(graph: ImageGraph, seed = 1): ImageModel {
  const random = seeded(seed);
  const parameters = new Map<string, Tensor>();
  const set = (name: string, dims: readonly number[], data: Float32Array) =>
    parameters.set(name, { dtype: 'float32', dims, data });
  for (const [name, dims] of parameterShapes(graph)) {
    const count = dims.reduce((a, b) => a * b, 1);
    const fan = Math.max(1, count / dims[0]);
    const positive = /running_var$/.test(name) || (dims.length === 1 && name.endsWith('.weight'));
    set(
      name,
      dims,
      positive
        ? Float32Array.from({ length: count }, () => 0.5 + random.next())
        : random.floats(count, dims.length > 1 ? Math.sqrt(2 / fan) : 0.2),
    );
  }
  for (const node of graph.nodes)
    if (node.op === 'conv2d' && !node.name.endsWith('.conv'))
      set(`${node.name}.bias`, [node.outChannels], random.floats(node.outChannels, 0.2));
  return { graph, parameters };
}
