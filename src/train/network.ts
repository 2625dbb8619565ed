import type { Call } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { augmentImagesKernel } from '../kernels/augment-images.ts';
import { movingAverageKernel } from '../kernels/moving-average.ts';
import { softmaxCrossEntropyKernel } from '../kernels/softmax-cross-entropy.ts';
import type { ImageShape, Model } from '../model/graph.ts';
import type { TileLayout } from '../quantize/weight-layout.ts';
import { bindBackward } from './backward.ts';
import { type Builder, type NetworkOptions, SPLIT_PIXELS, type Stages } from './builder.ts';
import { forwardStages } from './forward.ts';
import { outputPixels, planFilterGradient, vectorsOf } from './geometry.ts';
import { type TrainedConv, type TrainedLayer, trainedLayers } from './layers.ts';
import { createWorkshop, type State, type TrainedWeights } from './weights.ts';

/** A network on the GPU with its training step: every buffer and bind group made ahead. */
export interface TrainingNetwork {
  layers: readonly TrainedLayer[];
  layouts: ReadonlyMap<string, TileLayout>;
  weights: ReadonlyMap<string, TrainedWeights>;
  /** Every f32 buffer that training changes, by name. */
  state: State;
  /** Scale and zero point of activations whose grids training moves, by the name of their tensor. */
  observed: ReadonlyMap<string, GPUBuffer>;
  /** What batch norm normalized the last batch by, by its name: mean and inverse deviation. */
  statistics: ReadonlyMap<string, GPUBuffer>;
  classes: number;
  /** Rows of logits are this many floats apart. */
  stride: number;
  buffers: {
    images: GPUBuffer;
    placements: GPUBuffer;
    labels: GPUBuffer;
    schedule: GPUBuffer;
    logits: GPUBuffer;
    results: GPUBuffer;
  };
  /** Loads images, computes logits with batch statistics, losses, gradients, and moves everything. */
  step: readonly Call[];
  /** Loads images and computes logits; batch norm by its running statistics is left to `compile`. */
  forward: readonly Call[];
  destroy(): void;
}

/** Builds the forward pass, backward pass and update of a chain of layers. */
export async function buildNetwork(
  runtime: Runtime,
  model: Model,
  options: NetworkOptions,
): Promise<TrainingNetwork> {
  const layers = trainedLayers(model);
  const { workshop, destroy } = createWorkshop(runtime);
  const { batch } = options;
  const { input } = model.graph;
  const bytesOf = (shape: ImageShape) => batch * shape.height * shape.width * vectorsOf(shape) * 16;
  const buffers = {
    images: workshop.empty(batch * input.height * input.width * input.channels, 'images'),
    placements: workshop.empty(batch * 4, 'placements'),
    labels: workshop.empty(batch * 4, 'labels'),
    schedule: workshop.empty(16, 'schedule'),
    results: workshop.empty(batch * 8, 'results'),
  };
  // A gradient is read once, by the layer before: two buffers take turns.
  const largest = Math.max(bytesOf(input), ...layers.map((layer) => bytesOf(layer.shape)));
  const gradients = [workshop.empty(largest, 'gradient a'), workshop.empty(largest, 'gradient b')];
  const partial = workshop.empty(partialBytes(layers, batch), 'partial sums');
  const builder: Builder = {
    model,
    workshop,
    options,
    descent: { ...options, schedule: buffers.schedule },
    partial,
    state: new Map(),
    layouts: new Map(),
    weights: new Map(),
    observed: new Map(),
    statistics: new Map(),
    gradients,
    bytesOf,
  };
  try {
    let current = workshop.empty(bytesOf(input), 'input');
    const load = await workshop.bind(
      augmentImagesKernel,
      { input: buffers.images, placements: buffers.placements, output: current },
      { batch, height: input.height, width: input.width, channels: input.channels },
    );
    const passes: Awaited<ReturnType<typeof bindBackward>>[] = [];
    // Backward passes are bound in the order they run, from the loss: planned first, bound in reverse.
    const planned: { layer: TrainedLayer; input: GPUBuffer; stages: Stages }[] = [];
    for (const [i, layer] of layers.entries()) {
      const stages = await forwardStages(builder, layer, current, i === layers.length - 1);
      planned.push({ layer, input: current, stages });
      current = stages.output;
    }
    const { channels } = layers.at(-1)!.shape;
    const stride = vectorsOf(layers.at(-1)!.shape) * 4;
    const loss = await workshop.bind(
      softmaxCrossEntropyKernel,
      { logits: current, labels: buffers.labels, gradient: gradients[0], results: buffers.results },
      { batch, classes: channels, stride, smoothing: options.labelSmoothing },
    );
    for (const [i, { layer, input: from, stages }] of [...planned.entries()].reverse()) {
      passes[i] = await bindBackward(builder, layer, from, stages, i === 0);
    }
    const pass = (observing: boolean) =>
      planned.flatMap(({ stages: { forward, observe = [], round } }) => [
        ...forward,
        ...(observing ? observe : []),
        ...(round ? [round] : []),
      ]);
    const averages = options.average ? await keepAverages(builder) : [];
    return {
      layers,
      layouts: builder.layouts,
      weights: builder.weights,
      state: builder.state,
      classes: channels,
      stride,
      observed: builder.observed,
      statistics: builder.statistics,
      buffers: { ...buffers, logits: current },
      forward: [load, ...pass(false)],
      step: [
        load,
        ...pass(true),
        loss,
        ...passes.toReversed().flatMap(({ backward }) => backward),
        ...passes.flatMap(({ update }) => update),
        ...averages,
      ],
      destroy,
    };
  } catch (error) {
    destroy();
    throw error;
  }
}

/** Averages beside everything that is trained, moved at the end of a step; they are state too. */
async function keepAverages({ workshop, state, descent, observed }: Builder): Promise<Call[]> {
  // Grids are averages already, of whole zero points.
  const grids = new Set([...observed.keys()].flatMap((name) => [`${name}.range`, `${name}.qparams`]));
  const calls: Call[] = [];
  const encoder = workshop.runtime.device.createCommandEncoder();
  for (const [name, values] of [...state]) {
    if (name.startsWith('velocity.') || grids.has(name)) continue;
    const average = workshop.empty(values.size, `average ${name}`);
    encoder.copyBufferToBuffer(values, 0, average, 0, values.size);
    state.set(`average.${name}`, average);
    const bound = { schedule: descent.schedule, values, average };
    calls.push(await workshop.bind(movingAverageKernel, bound, { count: values.size / 4, entry: 1 }));
  }
  workshop.runtime.device.queue.submit([encoder.finish()]);
  return calls;
}

function partialBytes(layers: readonly TrainedLayer[], batch: number): number {
  const convs = layers.filter((layer): layer is TrainedConv => layer.kind === 'conv');
  const needs = convs.flatMap((layer) => {
    const { splits, length } = planFilterGradient(layer, batch);
    const reductions = Math.ceil(outputPixels(layer, batch) / SPLIT_PIXELS);
    return [splits * length * 4, reductions * vectorsOf(layer.shape) * 32];
  });
  return Math.max(...needs);
}
