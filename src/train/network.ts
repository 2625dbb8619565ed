import type { TileLayout } from '../conv/weight-layout.ts';
import type { Call } from '../gpu/call.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { add } from '../kernels/add.ts';
import { augmentImagesKernel } from '../kernels/augment-images.ts';
import { distillationLossKernel } from '../kernels/distillation-loss.ts';
import { movingAverageKernel } from '../kernels/moving-average.ts';
import { softmaxCrossEntropyKernel } from '../kernels/softmax-cross-entropy.ts';
import type { ImageModel, ImageShape } from '../model/graph.ts';
import { bindBackward } from './backward.ts';
import { type Builder, gradientPool, type NetworkOptions, type Stages } from './builder.ts';
import {
  type BoundKernels,
  type ConvKernels,
  convKernels,
  filterParts,
  retiledBytes,
} from './convolution.ts';
import { foldModel } from './fold.ts';
import { forwardStages } from './forward.ts';
import { LARGEST, outputPixels, vectorsOf } from './geometry.ts';
import { isAffine, type TrainedLayer, trainedLayers } from './layers.ts';
import { reductionChunk } from './reductions.ts';
import { createWorkshop, type State, type TrainedWeights, type Workshop } from './weights.ts';

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

/** Builds the forward pass, backward pass and update of a network's layers. */
export async function buildNetwork(
  runtime: Runtime,
  model: ImageModel,
  options: NetworkOptions,
): Promise<TrainingNetwork> {
  const layers = trainedLayers(model);
  const { workshop, destroy } = createWorkshop(runtime);
  try {
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
    const largest = Math.max(bytesOf(input), ...layers.map((layer) => bytesOf(layer.shape)));
    const kernels = convKernels(runtime, options.kernels);
    const partial = workshop.empty(partialBytes(kernels, layers, batch), 'partial sums');
    const builder: Builder = {
      model,
      workshop,
      kernels: boundKernels(workshop, kernels, layers, batch),
      options,
      descent: { ...options, schedule: buffers.schedule },
      partial,
      state: new Map(),
      layouts: new Map(),
      weights: new Map(),
      observed: new Map(),
      statistics: new Map(),
      grids: new Map(),
      gradients: gradientPool(() => workshop.empty(largest, 'gradient')),
      bytesOf,
    };
    const pixels = workshop.empty(bytesOf(input), 'input');
    const load = await workshop.bind(
      augmentImagesKernel,
      { input: buffers.images, placements: buffers.placements, output: pixels },
      { batch, height: input.height, width: input.width, channels: input.channels },
    );
    const { planned, logits } = await planForward(builder, layers, pixels);
    const last = layers.at(-1)!;
    const { channels } = last.shape;
    const stride = vectorsOf(last.shape) * 4;
    const first = builder.gradients.take();
    const loss = await workshop.bind(
      softmaxCrossEntropyKernel,
      { logits, labels: buffers.labels, gradient: first, results: buffers.results },
      { batch, classes: channels, stride, smoothing: options.labelSmoothing },
    );
    const losses = { logits, gradient: first, results: buffers.results };
    const learn = await learnFromTeacher(builder, pixels, losses, { batch, classes: channels, stride });
    const { backward, update } = await bindAllBackward(builder, planned, first);
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
      buffers: { ...buffers, logits },
      forward: [load, ...pass(false)],
      step: [load, ...pass(true), loss, ...learn, ...backward, ...update, ...averages],
      destroy,
    };
  } catch (error) {
    destroy();
    throw error;
  }
}

interface Planned {
  layer: TrainedLayer;
  stages: Stages;
}

/** The forward pass of all layers from the pixels on. */
async function planForward(builder: Builder, layers: readonly TrainedLayer[], pixels: GPUBuffer) {
  const tensors = new Map([[builder.model.graph.input.name, pixels]]);
  const planned: Planned[] = [];
  for (const layer of layers) {
    const inputs = layer.inputs.map((name) => tensors.get(name)!);
    const stages = await forwardStages(builder, layer, inputs, layer === layers.at(-1));
    planned.push({ layer, stages });
    tensors.set(layer.tensor, stages.output);
  }
  return { planned, logits: tensors.get(layers.at(-1)!.tensor)! };
}

/** The teacher's forward pass over the same images, as `compile` would run it, and its part in the loss. */
async function learnFromTeacher(
  student: Builder,
  pixels: GPUBuffer,
  losses: { logits: GPUBuffer; gradient: GPUBuffer; results: GPUBuffer },
  sizes: { batch: number; classes: number; stride: number },
): Promise<Call[]> {
  const { teacher } = student.options;
  if (!teacher) return [];
  const { model } = foldModel(teacher.model);
  const layers = trainedLayers(model);
  const { workshop, kernels } = student;
  const builder: Builder = {
    ...student,
    model,
    kernels: boundKernels(workshop, kernels, layers, student.options.batch),
    options: { ...student.options, quantized: undefined, activations: undefined, keepStatistics: true },
    state: new Map(),
    layouts: new Map(),
    weights: new Map(),
    observed: new Map(),
    statistics: new Map(),
    grids: new Map(),
  };
  const { planned, logits } = await planForward(builder, layers, pixels);
  const { share = 1, temperature = 4 } = teacher;
  const mix = await student.workshop.bind(
    distillationLossKernel,
    { ...losses, teacher: logits },
    { ...sizes, share, temperature },
  );
  return [...planned.flatMap(({ stages: { forward } }) => forward), mix];
}

/** The whole backward pass, from the loss; what several layers read gets the sum of their gradients. */
async function bindAllBackward(
  builder: Builder,
  planned: readonly Planned[],
  loss: GPUBuffer,
): Promise<{ backward: Call[]; update: Call[] }> {
  const { workshop, gradients, model } = builder;
  const backward: Call[] = [];
  const update: Call[] = [];
  const gradientOf = new Map([[planned.at(-1)!.layer.tensor, loss]]);
  for (const { layer, stages } of planned.toReversed()) {
    const wanted = layer.inputs.some((name) => name !== model.graph.input.name);
    const own = await bindBackward(builder, layer, stages, gradientOf.get(layer.tensor)!, wanted);
    backward.push(...own.backward);
    // Earlier layers move first, as they always did: what a step adds up does not depend on it.
    update.unshift(...own.update);
    for (const [i, name] of layer.inputs.entries()) {
      const b = own.gradients[i];
      if (!b) continue;
      const a = gradientOf.get(name);
      if (!a) {
        gradientOf.set(name, b);
        continue;
      }
      const output = gradients.take();
      const count = output.size / 16;
      backward.push(await workshop.bind(add, { a, b, output }, { count, low: -LARGEST, high: LARGEST }));
      gradients.give(a);
      gradients.give(b);
      gradientOf.set(name, output);
    }
  }
  return { backward, update };
}

/** Averages beside everything that is trained, moved at the end of a step; they are state too. */
async function keepAverages({ workshop, state, descent, observed }: Builder): Promise<Call[]> {
  // Grids are averages already, of whole zero points.
  const grids = new Set(
    [...observed.keys()].flatMap((name) => [`${name}.activation.range`, `${name}.activation.qparams`]),
  );
  const calls: Call[] = [];
  const copies: { from: GPUBuffer; to: GPUBuffer }[] = [];
  for (const [name, values] of [...state]) {
    if (name.startsWith('velocity.') || grids.has(name)) continue;
    const average = workshop.empty(values.size, `average ${name}`);
    copies.push({ from: values, to: average });
    state.set(`average.${name}`, average);
    const bound = { schedule: descent.schedule, values, average };
    calls.push(await workshop.bind(movingAverageKernel, bound, { count: values.size / 4, entry: 1 }));
  }
  workshop.runtime.record((encoder) => {
    for (const { from, to } of copies) encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
  });
  return calls;
}

/** The kernels with room to retile the weights of these layers in. */
function boundKernels(
  workshop: Workshop,
  kernels: ConvKernels,
  layers: readonly TrainedLayer[],
  batch: number,
): BoundKernels {
  const convs = layers.filter((layer) => layer.kind === 'conv');
  const bytes = retiledBytes(kernels, convs, batch);
  return { ...kernels, retiled: bytes > 0 ? workshop.empty(bytes, 'retiled weights') : null };
}

function partialBytes(kernels: ConvKernels, layers: readonly TrainedLayer[], batch: number): number {
  const needs = layers.filter(isAffine).flatMap((layer) => {
    const pixelCount = outputPixels(layer, batch);
    const vectors = vectorsOf(layer.shape);
    const own = Math.ceil(pixelCount / reductionChunk(kernels, pixelCount, vectors)) * vectors * 32;
    if (layer.kind === 'norm') return own;
    const { splits, length } = filterParts(kernels, layer, batch);
    return [splits * length * 4, own];
  });
  return Math.max(...needs);
}
