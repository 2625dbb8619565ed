import type { Call } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { augmentImagesKernel } from '../kernels/augment-images.ts';
import { averagePool2dKernel } from '../kernels/average-pool2d.ts';
import { averagePool2dGradientKernel } from '../kernels/average-pool2d-gradient.ts';
import { batchNormKernel } from '../kernels/batch-norm.ts';
import { batchNormGradientKernel } from '../kernels/batch-norm-gradient.ts';
import { batchNormGradientSumsKernel } from '../kernels/batch-norm-gradient-sums.ts';
import { batchNormMergeKernel } from '../kernels/batch-norm-merge.ts';
import { batchNormStatisticsKernel } from '../kernels/batch-norm-statistics.ts';
import { conv2dKernel } from '../kernels/conv2d.ts';
import { conv2dFilterGradientKernel } from '../kernels/conv2d-filter-gradient.ts';
import { conv2dInputGradientKernel } from '../kernels/conv2d-input-gradient.ts';
import { fakeQuantizeKernel } from '../kernels/fake-quantize.ts';
import { fakeQuantizeGradientKernel } from '../kernels/fake-quantize-gradient.ts';
import { maxPool2dKernel } from '../kernels/max-pool2d.ts';
import { maxPool2dGradientKernel } from '../kernels/max-pool2d-gradient.ts';
import { softmaxCrossEntropyKernel } from '../kernels/softmax-cross-entropy.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import type { ImageShape, Model } from '../model/graph.ts';
import { requiredParameter } from '../model/parameters.ts';
import type { ActivationQparams, CodebookLayer, LinearLayer } from '../model/precision.ts';
import { type TileLayout, tileLayout } from '../quantize/weight-layout.ts';
import {
  normParameters,
  type TrainedConv,
  type TrainedLayer,
  type TrainedPool,
  trainedLayers,
} from './layers.ts';
import {
  codebookWeights,
  createWorkshop,
  type Descent,
  descend,
  floatWeights,
  type QuantizedTraining,
  roundedWeights,
  type State,
  type TrainedWeights,
  type Workshop,
} from './weights.ts';

/** What a network is built for. */
export interface NetworkOptions {
  batch: number;
  momentum: number;
  nesterov: boolean;
  weightDecay: number;
  labelSmoothing: number;
  /** Layers trained at a precision; the others are float32. */
  quantized?: ReadonlyMap<string, CodebookLayer | LinearLayer>;
  /** Activations rounded to int8, by the name of the tensor; linear only. */
  activations?: ReadonlyMap<string, ActivationQparams>;
  training: QuantizedTraining;
}

/** A network on the GPU with its training step: every buffer and bind group made ahead. */
export interface TrainingNetwork {
  layers: readonly TrainedLayer[];
  layouts: ReadonlyMap<string, TileLayout>;
  weights: ReadonlyMap<string, TrainedWeights>;
  /** Every f32 buffer that training changes, by name. */
  state: State;
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

interface Pass {
  forward: Call[];
  backward: Call[];
  update: Call[];
}

const SPLIT_PIXELS = 256;
/** Output channels of a weight tile over four: the layout that the three convolution kernels share here. */
const TILE_VECTORS = 4;
const vectorsOf = ({ channels }: ImageShape) => Math.ceil(channels / 4);

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
    const passes: Pass[] = [];
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
    const forward = [load, ...passes.flatMap((pass) => pass.forward)];
    return {
      layers,
      layouts: builder.layouts,
      weights: builder.weights,
      state: builder.state,
      classes: channels,
      stride,
      buffers: { ...buffers, logits: current },
      forward,
      step: [
        ...forward,
        loss,
        ...passes.toReversed().flatMap((pass) => pass.backward),
        ...passes.flatMap((pass) => pass.update),
      ],
      destroy,
    };
  } catch (error) {
    destroy();
    throw error;
  }
}

interface Builder {
  model: Model;
  workshop: Workshop;
  options: NetworkOptions;
  descent: Descent;
  partial: GPUBuffer;
  state: State;
  layouts: Map<string, TileLayout>;
  weights: Map<string, TrainedWeights>;
  gradients: GPUBuffer[];
  /** The grid of the tensor under way; pools pass it on, averages rounded to it again. */
  qparams?: ActivationQparams;
  bytesOf(shape: ImageShape): number;
}

interface Stages {
  forward: Call[];
  output: GPUBuffer;
  /** What the layer left before rounding. */
  normal?: GPUBuffer;
  /** Of a convolution: its own output, before normalization. */
  sums?: GPUBuffer;
  statistics?: GPUBuffer;
  affine?: GPUBuffer;
  rounding?: { qparams: GPUBuffer; range: Record<string, number> };
}

async function forwardStages(
  builder: Builder,
  layer: TrainedLayer,
  input: GPUBuffer,
  last: boolean,
): Promise<Stages> {
  const { workshop, bytesOf } = builder;
  if (layer.kind === 'conv') return convForward(builder, layer, input, last);
  const output = workshop.empty(bytesOf(layer.shape), layer.name);
  const [, , bottom, right] = layer.pads;
  const geometry = { ...poolGeometry(layer, builder.options.batch), dilationHeight: 1, dilationWidth: 1 };
  const kernel = layer.kind === 'maxPool' ? maxPool2dKernel : averagePool2dKernel;
  const extra: Record<string, number> =
    layer.kind === 'maxPool' ? {} : { padBottom: bottom, padRight: right, includePad: 0 };
  const forward = [await workshop.bind(kernel, { input, output }, { ...geometry, ...extra })];
  const stages: Stages = { forward, output };
  return layer.kind === 'averagePool' ? roundOutput(builder, layer, stages) : stages;
}

async function convForward(
  builder: Builder,
  layer: TrainedConv,
  input: GPUBuffer,
  last: boolean,
): Promise<Stages> {
  const { workshop, options, bytesOf, state } = builder;
  const { name } = layer;
  const { batch } = options;
  const layout = tileLayout(
    {
      outChannels: layer.shape.channels,
      inChannels: layer.input.channels,
      kernelHeight: layer.kernel[0],
      kernelWidth: layer.kernel[1],
      groups: 1,
    },
    TILE_VECTORS,
  );
  const weights = await convWeights(builder, layer, layout);
  builder.layouts.set(name, layout);
  builder.weights.set(name, weights);
  for (const [key, buffer] of weights.state) state.set(key, buffer);
  const sums = workshop.empty(bytesOf(layer.shape), `${name} sums`);
  const pixelCount = batch * layer.shape.height * layer.shape.width;
  const tiledChannels = layout.tileCount * layout.tileChannels;
  const ones = new Float32Array(tiledChannels).fill(1, 0, layer.shape.channels);
  const specialization = {
    TILE_VECTORS: `${TILE_VECTORS}u`,
    TILE_PIXELS: pixelCount >= 8 * 16 ? '8u' : '4u',
    WORKGROUP_SIZE: pixelCount >= 8 * 64 ? 64 : 8,
  };
  const convolve = await workshop.bind(
    conv2dKernel,
    {
      input,
      weights: weights.effective,
      scale: workshop.upload(ones, 'ones'),
      shift: workshop.upload(new Float32Array(tiledChannels), 'zeros'),
      output: sums,
    },
    {
      ...convGeometry(layer),
      inputVectors: vectorsOf(layer.input),
      outputVectors: vectorsOf(layer.shape),
      groupVectors: vectorsOf(layer.input),
      groupTiles: layout.groupTiles,
      pixelCount,
      tileCount: layout.tileCount,
      low: -3.4028234663852886e38,
      high: 3.4028234663852886e38,
    },
    specialization,
  );
  const norm = await normForward(builder, layer, sums, pixelCount);
  const forward = [...weights.prepare, convolve, ...norm.forward];
  builder.qparams = last ? undefined : options.activations?.get(layer.output);
  const stages: Stages = { ...norm, forward, sums };
  return roundOutput(builder, layer, stages);
}

/** Rounds what a layer leaves to its tensor's int8 grid, where there is one. */
async function roundOutput(builder: Builder, layer: TrainedLayer, stages: Stages): Promise<Stages> {
  const { workshop, qparams, bytesOf } = builder;
  if (!qparams) return stages;
  const count = bytesOf(layer.shape) / 4;
  const range = { count, block: count, lanes: 1, quantMin: -128, quantMax: 127 };
  const pair = workshop.upload(new Float32Array([qparams.scale, qparams.zeroPoint]), `${layer.name} qparams`);
  const output = workshop.empty(count * 4, `${layer.name} rounded`);
  const round = await workshop.bind(
    fakeQuantizeKernel,
    { input: stages.output, qparams: pair, output },
    range,
  );
  return {
    ...stages,
    forward: [...stages.forward, round],
    normal: stages.output,
    output,
    rounding: { qparams: pair, range },
  };
}

async function convWeights(
  { workshop, options, descent, model }: Builder,
  layer: TrainedConv,
  layout: TileLayout,
): Promise<TrainedWeights> {
  const { name } = layer;
  const weight = requiredParameter(model, `${name}.weight`);
  const quantized = options.quantized?.get(name);
  if (!quantized) return floatWeights(workshop, descent, name, weight, layout);
  if (quantized.method === 'kmeans') {
    return codebookWeights(workshop, descent, name, quantized, layout, options.training.centroids);
  }
  return roundedWeights(workshop, descent, name, weight, quantized, layout, options.training.learnedStep);
}

async function normForward(builder: Builder, layer: TrainedConv, sums: GPUBuffer, pixelCount: number) {
  const { workshop, model, partial, state, bytesOf } = builder;
  const vectors = vectorsOf(layer.shape);
  const { gamma, beta, mean, variance } = normParameters(model, layer);
  const join = (first: ArrayLike<number>, second: ArrayLike<number>) => {
    const rows = new Float32Array(vectors * 8);
    rows.set(first, 0);
    rows.set(second, vectors * 4);
    return rows;
  };
  const stem = layer.norm ?? layer.name;
  const affine = workshop.upload(join(gamma, beta), `${stem}.affine`);
  const inverse = layer.norm ? variance.map((v) => 1 / Math.sqrt(v + layer.epsilon)) : variance;
  const statistics = workshop.upload(join(mean, inverse), `${stem}.statistics`);
  const output = workshop.empty(bytesOf(layer.shape), `${layer.name} activation`);
  state.set(`${stem}.affine`, affine);
  const forward: Call[] = [];
  if (layer.norm) {
    const running = workshop.upload(join(mean, variance), `${stem}.running`);
    state.set(`${stem}.running`, running);
    const sizes = { pixelCount, vectors, chunk: SPLIT_PIXELS };
    forward.push(
      await workshop.bind(batchNormStatisticsKernel, { input: sums, partial }, sizes),
      await workshop.bind(
        batchNormMergeKernel,
        { partial, statistics, running },
        { ...sizes, epsilon: layer.epsilon, momentum: 0.1 },
      ),
    );
  }
  const { low, high } = layer;
  forward.push(
    await workshop.bind(
      batchNormKernel,
      { input: sums, statistics, affine, output },
      { pixelCount, vectors, low, high },
    ),
  );
  return { forward, output, statistics, affine };
}

/** Binds a layer's backward pass; the gradient of its output is in `gradients[0]`, and its input's will be. */
async function bindBackward(
  builder: Builder,
  layer: TrainedLayer,
  input: GPUBuffer,
  stages: Stages,
  first: boolean,
): Promise<Pass> {
  const { workshop, options, gradients, partial, descent, state } = builder;
  const { batch } = options;
  const swap = () => gradients.reverse();
  const backward: Call[] = [];
  if (stages.rounding) {
    const { qparams, range } = stages.rounding;
    const bound = { input: stages.normal!, gradient: gradients[0], qparams, output: gradients[1] };
    backward.push(await workshop.bind(fakeQuantizeGradientKernel, bound, range));
    swap();
  }
  if (layer.kind !== 'conv') {
    const bound = { gradient: gradients[0], inputGradient: gradients[1] };
    const geometry = poolGeometry(layer, batch);
    if (layer.kind === 'maxPool')
      backward.push(await workshop.bind(maxPool2dGradientKernel, { input, ...bound }, geometry));
    else backward.push(await workshop.bind(averagePool2dGradientKernel, bound, geometry));
    swap();
    return { forward: stages.forward, backward, update: [] };
  }
  const sums = stages.sums!;
  const statistics = stages.statistics!;
  const affine = stages.affine!;
  const vectors = vectorsOf(layer.shape);
  const pixelCount = batch * layer.shape.height * layer.shape.width;
  const { low, high } = layer;
  const affineGradient = workshop.empty(vectors * 32, `${layer.name} affine gradient`);
  const splits = Math.ceil(pixelCount / SPLIT_PIXELS);
  const own = { input: sums, gradient: gradients[0], statistics, affine };
  backward.push(
    await workshop.bind(
      batchNormGradientSumsKernel,
      { ...own, partial },
      { pixelCount, vectors, chunk: SPLIT_PIXELS, low, high },
    ),
    await workshop.bind(sumSplitsKernel, { partial, output: affineGradient }, { count: vectors * 8, splits }),
    await workshop.bind(
      batchNormGradientKernel,
      { ...own, sums: affineGradient, output: gradients[1] },
      { pixelCount, vectors, low, high, frozen: layer.norm ? 0 : 1 },
    ),
  );
  swap();
  const layout = builder.layouts.get(layer.name)!;
  const weights = builder.weights.get(layer.name)!;
  const split = filterSplit(layer, batch);
  backward.push(
    await workshop.bind(
      conv2dFilterGradientKernel,
      { input, gradient: gradients[0], partial },
      {
        ...convGeometry(layer),
        inputVectors: vectorsOf(layer.input),
        outputVectors: vectors,
        pixelCount,
        chunk: split.chunk,
      },
      { WORKGROUP_SIZE: split.items <= 16 ? 8 : 32 },
    ),
    await workshop.bind(
      sumSplitsKernel,
      { partial, output: weights.gradient },
      { count: layout.length, splits: split.splits },
    ),
  );
  if (!first) {
    const inputPixels = batch * layer.input.height * layer.input.width;
    const TILE_PIXELS = inputPixels >= 16 * 32 ? '16u' : '4u';
    const WORKGROUP_SIZE = inputPixels >= 16 * 32 ? 32 : 8;
    backward.push(
      await workshop.bind(
        conv2dInputGradientKernel,
        { gradient: gradients[0], weights: weights.effective, inputGradient: gradients[1] },
        {
          ...convGeometry(layer),
          inputChannels: layer.input.channels,
          outputVectors: vectors,
          pixelCount: inputPixels,
        },
        { TILE_PIXELS, WORKGROUP_SIZE },
      ),
    );
    swap();
  }
  const stem = layer.norm ?? layer.name;
  const velocity = workshop.empty(vectors * 32, `${stem}.affine velocity`);
  state.set(`velocity.${stem}.affine`, velocity);
  // Without a batch norm the scale stays 1 and only the second row, the bias, moves.
  const begin = layer.norm ? 0 : vectors * 4;
  const step = await descend(
    workshop,
    { ...descent, weightDecay: 0 },
    { weights: affine, gradient: affineGradient },
    velocity,
    vectors * 8 - begin,
    begin,
  );
  return { forward: stages.forward, backward, update: [...weights.update, step] };
}

function convGeometry(layer: TrainedConv) {
  return {
    inputHeight: layer.input.height,
    inputWidth: layer.input.width,
    outputHeight: layer.shape.height,
    outputWidth: layer.shape.width,
    kernelHeight: layer.kernel[0],
    kernelWidth: layer.kernel[1],
    strideHeight: layer.strides[0],
    strideWidth: layer.strides[1],
    dilationHeight: layer.dilations[0],
    dilationWidth: layer.dilations[1],
    padTop: layer.pads[0],
    padLeft: layer.pads[1],
  };
}

function poolGeometry(layer: TrainedPool, batch: number) {
  return {
    batch,
    height: layer.input.height,
    width: layer.input.width,
    channelVectors: vectorsOf(layer.input),
    outputHeight: layer.shape.height,
    outputWidth: layer.shape.width,
    kernelHeight: layer.kernel[0],
    kernelWidth: layer.kernel[1],
    strideHeight: layer.strides[0],
    strideWidth: layer.strides[1],
    padTop: layer.pads[0],
    padLeft: layer.pads[1],
  };
}

/** How a filter gradient is split along its pixels: enough threads for a GPU, partial sums of at most 64 MiB. */
function filterSplit(layer: TrainedConv, batch: number) {
  const pixelCount = batch * layer.shape.height * layer.shape.width;
  const items = layer.kernel[0] * layer.kernel[1] * Math.ceil(vectorsOf(layer.input) / 2);
  const tiles = Math.ceil(vectorsOf(layer.shape) / TILE_VECTORS);
  const length = layer.kernel[0] * layer.kernel[1] * vectorsOf(layer.input) * tiles * TILE_VECTORS * 16;
  const wanted = Math.ceil(65536 / (items * tiles * 2));
  const limit = Math.max(1, Math.floor((64 << 20) / (length * 4)));
  const chunk = Math.max(64, Math.ceil(pixelCount / Math.min(wanted, limit)));
  return { items, chunk, splits: Math.ceil(pixelCount / chunk), length };
}

function partialBytes(layers: readonly TrainedLayer[], batch: number): number {
  const convs = layers.filter((layer): layer is TrainedConv => layer.kind === 'conv');
  const needs = convs.flatMap((layer) => {
    const { splits, length } = filterSplit(layer, batch);
    const pixelCount = batch * layer.shape.height * layer.shape.width;
    return [splits * length * 4, Math.ceil(pixelCount / SPLIT_PIXELS) * vectorsOf(layer.shape) * 32];
  });
  return Math.max(...needs);
}
