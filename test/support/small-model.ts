import type { ImageModel } from '../../src/model/graph.ts';
import { initialize } from '../../src/train/initialize.ts';
import { withParameters } from './branching-models.ts';
import { seeded } from './runtime.ts';

/** conv, batch norm, ReLU and pools of both kinds before a linear layer, on 8 x 8 images. */
export function smallModel(): ImageModel {
  const pool = { kernel: [2, 2], strides: [2, 2] } as const;
  return initialize(
    {
      graph: {
        name: 'small',
        input: { name: 'input', height: 8, width: 8, channels: 3 },
        nodes: [
          { op: 'conv2d', name: 'c0', inputs: ['input'], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels: 6 },
          { op: 'batchNorm', name: 'b0', inputs: ['c0'] },
          { op: 'relu', name: 'r0', inputs: ['b0'] },
          { op: 'maxPool', name: 'p0', inputs: ['r0'], ...pool },
          { op: 'conv2d', name: 'c1', inputs: ['p0'], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels: 10 },
          { op: 'batchNorm', name: 'b1', inputs: ['c1'] },
          { op: 'relu', name: 'r1', inputs: ['b1'] },
          { op: 'averagePool', name: 'p1', inputs: ['r1'], ...pool },
          { op: 'flatten', name: 'f', inputs: ['p1'] },
          { op: 'linear', name: 'fc', inputs: ['f'], outFeatures: 5 },
        ],
        output: 'fc',
      },
      parameters: new Map(),
    },
    { seed: 3 },
  );
}

/** Images whose class is the brightest of their five columns: learnable in a few steps. */
export function stripes(count: number, seed = 5) {
  const random = seeded(seed);
  const labels = Uint8Array.from({ length: count }, () => random.integer(0, 4));
  const images = Uint8Array.from({ length: count * 192 }, (_, i) => {
    const column = Math.floor(i / 3) % 8;
    return random.integer(0, 90) + (column === labels[Math.floor(i / 192)] ? 150 : 0);
  });
  return { images, labels };
}

/** A residual network: a sum of three with ReLU, a tensor read twice, a strided projection beside a block. */
export function residualModel(): ImageModel {
  const conv = (name: string, input: string, outChannels: number, stride = 1) =>
    ({
      op: 'conv2d',
      name,
      inputs: [input],
      kernel: [3, 3],
      strides: [stride, stride],
      pads: [1, 1, 1, 1],
      outChannels,
    }) as const;
  const after = (op: 'batchNorm' | 'relu' | 'relu6', name: string, input: string) =>
    ({ op, name, inputs: [input] }) as const;
  return initialize(
    {
      graph: {
        name: 'residual',
        input: { name: 'input', height: 8, width: 8, channels: 3 },
        nodes: [
          conv('c0', 'input', 6),
          after('batchNorm', 'b0', 'c0'),
          after('relu', 'r0', 'b0'),
          conv('c1', 'r0', 6),
          after('batchNorm', 'b1', 'c1'),
          conv('c2', 'r0', 6),
          { op: 'add', name: 'a0', inputs: ['b1', 'r0', 'c2'] },
          after('relu', 'r1', 'a0'),
          conv('c3', 'r1', 9, 2),
          after('batchNorm', 'b3', 'c3'),
          after('relu6', 'r3', 'b3'),
          { op: 'conv2d', name: 'p3', inputs: ['r1'], kernel: [1, 1], strides: [2, 2], outChannels: 9 },
          { op: 'add', name: 'a1', inputs: ['r3', 'p3'] },
          { op: 'globalAveragePool', name: 'gap', inputs: ['a1'] },
          { op: 'linear', name: 'fc', inputs: ['gap'], outFeatures: 5 },
        ],
        output: 'fc',
      },
      parameters: new Map(),
    },
    { seed: 4 },
  );
}

/** MobileNet's block: a depthwise 3x3 with a stride between two 1x1, ReLU6, and a depthwise layer with a bias. */
export function depthwiseModel(): ImageModel {
  const point = (name: string, input: string, outChannels: number) =>
    ({ op: 'conv2d', name, inputs: [input], kernel: [1, 1], outChannels }) as const;
  const deep = (name: string, input: string, channels: number, stride: number) =>
    ({
      op: 'conv2d',
      name,
      inputs: [input],
      kernel: [3, 3],
      strides: [stride, stride],
      pads: [1, 1, 1, 1],
      outChannels: channels,
      groups: channels,
    }) as const;
  return initialize(
    {
      graph: {
        name: 'depthwise',
        input: { name: 'input', height: 8, width: 8, channels: 3 },
        nodes: [
          point('e0', 'input', 18),
          { op: 'batchNorm', name: 'b0', inputs: ['e0'] },
          { op: 'relu6', name: 'r0', inputs: ['b0'] },
          deep('d0', 'r0', 18, 2),
          { op: 'batchNorm', name: 'b1', inputs: ['d0'] },
          { op: 'relu6', name: 'r1', inputs: ['b1'] },
          point('p0', 'r1', 7),
          deep('d1', 'p0', 7, 1),
          { op: 'relu', name: 'r2', inputs: ['d1'] },
          { op: 'linear', name: 'fc', inputs: ['r2'], outFeatures: 5 },
        ],
        output: 'fc',
      },
      parameters: new Map(),
    },
    { seed: 5 },
  );
}

/**
 * Batch norms where there is no convolution to fold them into: on the image, on a tensor that a sum reads too, after the
 * sum, and after a pool with a second one and a max-pool behind; and two in a row, and one on the logits, which fold.
 */
export function normModel(): ImageModel {
  const conv = (name: string, input: string, outChannels: number) =>
    ({ op: 'conv2d', name, inputs: [input], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels }) as const;
  const after = (op: 'batchNorm' | 'relu' | 'relu6' | 'identity', name: string, input: string) =>
    ({ op, name, inputs: [input] }) as const;
  const halving = { kernel: [2, 2], strides: [2, 2] } as const;
  return withParameters(
    {
      name: 'norms',
      input: { name: 'input', height: 8, width: 8, channels: 3 },
      nodes: [
        after('batchNorm', 'n0', 'input'),
        conv('c0', 'n0', 6),
        after('batchNorm', 'n1', 'c0'),
        after('relu', 'r1', 'n1'),
        conv('c1', 'r1', 6),
        { op: 'add', name: 'a0', inputs: ['c1', 'c0'] },
        after('batchNorm', 'n2', 'a0'),
        after('relu', 'r2', 'n2'),
        conv('c2', 'r2', 9),
        after('batchNorm', 'n3', 'c2'),
        after('identity', 'same', 'n3'),
        after('batchNorm', 'n4', 'same'),
        after('relu6', 'r4', 'n4'),
        { op: 'averagePool', name: 'p4', inputs: ['r4'], ...halving },
        after('batchNorm', 'n5', 'p4'),
        after('batchNorm', 'n6', 'n5'),
        after('relu', 'r6', 'n6'),
        { op: 'maxPool', name: 'p6', inputs: ['r6'], ...halving },
        { op: 'linear', name: 'fc', inputs: ['p6'], outFeatures: 5 },
        after('batchNorm', 'n7', 'fc'),
      ],
      output: 'n7',
    },
    6,
  );
}
