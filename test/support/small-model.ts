import type { Model } from '../../src/model/graph.ts';
import { initialize } from '../../src/train/initialize.ts';
import { seeded } from './runtime.ts';

/** conv, batch norm, ReLU and pools of both kinds before a linear layer, on 8 x 8 images. */
export function smallModel(): Model {
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
