import { describe, expect, test } from 'vitest';
import { untileWeights } from '../../src/conv/weight-layout.ts';
import type { ImageGraph, ImageModel, ImageNode } from '../../src/model/graph.ts';
import { parameter } from '../../src/model/parameters.ts';
import { buildNetwork } from '../../src/train/network.ts';
import { withParameters } from '../support/branching-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { depthwiseModel, normModel, residualModel, smallModel } from '../support/small-model.ts';
import { type Statistics, tfjsGradients } from '../support/tfjs-gradients.ts';

const gpu = useRuntime();
const BATCH = 6;
const SMOOTHING = 0.1;

/** What one step without momentum leaves in the velocities: the loss's gradient, in the parameters' own order. */
async function ourGradients(
  model: ImageModel,
  images: Uint8Array,
  labels: Uint8Array,
  keepStatistics: boolean,
) {
  const { runtime } = gpu;
  const { queue } = runtime.device;
  const network = await buildNetwork(runtime, model, {
    batch: BATCH,
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
    labelSmoothing: SMOOTHING,
    average: false,
    keepStatistics,
    training: { centroids: 'gradient', learnedStep: false, observe: 0 },
  });
  const whole = new Uint8Array(Math.ceil(images.length / 4) * 4);
  whole.set(images);
  queue.writeBuffer(network.buffers.images, 0, whole);
  queue.writeBuffer(network.buffers.placements, 0, new Uint32Array(BATCH).fill(128 | (128 << 8)));
  queue.writeBuffer(network.buffers.labels, 0, Uint32Array.from(labels));
  queue.writeBuffer(network.buffers.schedule, 0, new Float32Array([0, 0]));
  runtime.submit(network.step);
  const read = async (name: string) => new Float32Array(await runtime.read(network.state.get(name)!));
  const results = new Float32Array(await runtime.read(network.buffers.results));
  const loss = results.filter((_, i) => i % 2 === 0).reduce((sum, v) => sum + v / BATCH, 0);
  const gradients = new Map<string, Float32Array>();
  for (const name of network.state.keys()) {
    if (!name.startsWith('velocity.')) continue;
    const [, own] = name.match(/^velocity\.(.*)\.(affine|weight)$/)!;
    if (name.endsWith('.weight')) {
      const layer = own.replace(/\.weight$/, '');
      gradients.set(`${layer}.weight`, untileWeights(await read(name), network.layouts.get(layer)!));
      continue;
    }
    const rows = await read(name);
    const { channels } = network.layers.find((layer) =>
      [layer.name, 'norm' in layer ? layer.norm : null].includes(own),
    )!.shape;
    const half = rows.length / 2;
    gradients.set(`${own}.bias`, rows.slice(half, half + channels));
    if (parameter(model, `${own}.running_mean`)) gradients.set(`${own}.weight`, rows.slice(0, channels));
  }
  network.destroy();
  return { loss, gradients };
}

const same = { kernel: [3, 3], pads: [1, 1, 1, 1] } as const;

/** A network on images of as many channels as wanted, whose convolutions have biases or batch norms. */
function onChannels(channels: number): ImageModel {
  const nodes: ImageNode[] = [
    { op: 'conv2d', name: 'c0.conv', inputs: ['x'], ...same, outChannels: 6 },
    { op: 'batchNorm', name: 'c0', inputs: ['c0.conv'] },
    { op: 'relu', name: 'r0', inputs: ['c0'] },
    { op: 'maxPool', name: 'p0', inputs: ['r0'], kernel: [2, 2], strides: [2, 2] },
    { op: 'conv2d', name: 'c1', inputs: ['p0'], kernel: [2, 2], outChannels: 7 },
    { op: 'relu6', name: 'r1', inputs: ['c1'] },
    { op: 'linear', name: 'fc', inputs: ['r1'], outFeatures: 5 },
  ];
  const graph: ImageGraph = {
    name: `of ${channels} channels`,
    input: { name: 'x', height: 7, width: 6, channels },
    nodes,
    output: 'fc',
  };
  return withParameters(graph, channels);
}

describe('a training step without momentum leaves the gradients of tfjs', () => {
  const models: [string, ImageModel, Statistics][] = [
    ...[1, 2, 4, 5, 7, 8, 11].map((n): [string, ImageModel, Statistics] => [
      `images of ${n} channels`,
      onChannels(n),
      'batch',
    ]),
    ['a chain', smallModel(), 'batch'],
    ['sums', residualModel(), 'batch'],
    ['depthwise convolutions', depthwiseModel(), 'batch'],
    ['batch norms by themselves', normModel(), 'batch'],
    ['batch norms by themselves whose statistics are kept', normModel(), 'running'],
    ['batch norms of convolutions whose statistics are kept', onChannels(6), 'running'],
  ];
  test.each(models)('%s', async (_, model, statistics) => {
    const { height, width, channels } = model.graph.input;
    const random = seeded(channels);
    const images = Uint8Array.from({ length: BATCH * height * width * channels }, () =>
      random.integer(0, 255),
    );
    const labels = Uint8Array.from({ length: BATCH }, () => random.integer(0, 4));
    const ours = await ourGradients(model, images, labels, statistics === 'running');
    const theirs = await tfjsGradients(model, images, labels, { smoothing: SMOOTHING, statistics });
    expect(Math.abs(ours.loss - theirs.loss)).toBeLessThan(1e-5);
    const total = Math.hypot(...[...theirs.gradients.values()].map((values) => Math.hypot(...values)));
    for (const [name, want] of theirs.gradients) {
      // A bias before a batch norm is no parameter of ours: by the batch's own statistics it has no gradient but
      // rounding, and beside statistics that are kept beta does what it would.
      const own = ours.gradients.get(name);
      if (!own && statistics === 'running') continue;
      const got = own ?? new Float32Array(want.length);
      const error = Math.hypot(...want.map((value, i) => value - got[i]));
      expect(error, name).toBeLessThan(5e-5 * Math.hypot(...want) + 1e-6 * total);
    }
    for (const name of ours.gradients.keys()) {
      if (!theirs.gradients.has(name)) expect(model.parameters.has(name), name).toBe(false);
    }
  });
});
