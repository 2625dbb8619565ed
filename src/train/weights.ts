import type { Call, Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { codebookDecode } from '../kernels/codebook-decode.ts';
import { codebookGradientKernel } from '../kernels/codebook-gradient.ts';
import { fakeQuantizeKernel } from '../kernels/fake-quantize.ts';
import { fakeQuantizeGradientKernel } from '../kernels/fake-quantize-gradient.ts';
import { sgdStepKernel } from '../kernels/sgd-step.ts';
import { stepSizeGradientKernel } from '../kernels/step-size-gradient.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import type { CodebookLayer, LinearLayer } from '../model/precision.ts';
import { type TileLayout, tileWeights } from '../quantize/weight-layout.ts';

/** How a quantized layer's weights move: see `FinetuneOptions`. */
export interface QuantizedTraining {
  /** `mean`: the lab's rule, weights move and each centroid becomes its members' mean. */
  centroids: 'gradient' | 'mean-gradient' | 'mean';
  /** Step sizes are trained too. */
  learnedStep: boolean;
  /** How far a batch moves the activations' ranges, 0 to 1; 0 leaves them as calibrated. */
  observe: number;
}

/** What SGD does to one buffer. */
export interface Descent {
  momentum: number;
  nesterov: boolean;
  weightDecay: number;
  schedule: GPUBuffer;
}

/** Buffers to be saved and restored, by name: all f32. */
export type State = Map<string, GPUBuffer>;

/** Makes buffers and calls that live as long as the network. */
export interface Workshop {
  runtime: Runtime;
  empty(byteLength: number, label: string): GPUBuffer;
  upload(data: ArrayBufferView, label: string): GPUBuffer;
  bind(
    kernel: unknown,
    buffers: Record<string, GPUBuffer>,
    params: Record<string, number>,
    specialization?: Specialization,
  ): Promise<Call>;
}

export function createWorkshop(runtime: Runtime) {
  const owned: { destroy(): void }[] = [];
  const keep = <T extends { destroy(): void }>(resource: T) => {
    owned.push(resource);
    return resource;
  };
  const workshop: Workshop = {
    runtime,
    empty: (byteLength, label) => keep(runtime.empty(byteLength, label)),
    upload: (data, label) => keep(runtime.upload(data, label)),
    async bind(kernel, buffers, params, specialization) {
      const compiled = await (kernel as Kernel).create(runtime.device, specialization);
      return keep(compiled.bind(buffers, params as never));
    },
  };
  return {
    workshop,
    destroy() {
      for (const resource of owned) resource.destroy();
    },
  };
}

/** A layer's weights as the trainer keeps them: what the convolution reads, and how a step moves them. */
export interface TrainedWeights {
  /** What the convolution and its input gradient read, tiled. */
  effective: GPUBuffer;
  /** Where the filter gradient goes, tiled. */
  gradient: GPUBuffer;
  /** Before the forward pass: decoding or fake quantization. */
  prepare: Call[];
  /** After the backward pass. */
  update: Call[];
  state: State;
  /** Moves elements to their nearest centroids and tells the GPU. */
  reassign?(): Promise<void>;
  /** The layer's codes now, and others in their place; k-means only. */
  codes?(): Uint8Array;
  setCodes?(codes: Uint8Array): void;
}

/** SGD on `weights`, from `first` on; adds the velocity to the state. */
export async function descend(
  workshop: Workshop,
  descent: Descent,
  buffers: { weights: GPUBuffer; gradient: GPUBuffer },
  velocity: GPUBuffer,
  count: number,
  first = 0,
): Promise<Call> {
  const { momentum, nesterov, weightDecay, schedule } = descent;
  const params = { first, count, nesterov: nesterov ? 1 : 0, momentum, weightDecay };
  return workshop.bind(sgdStepKernel, { ...buffers, schedule, velocity }, params);
}

/** Weights in float32. */
export async function floatWeights(
  workshop: Workshop,
  descent: Descent,
  name: string,
  weight: Float32Array,
  layout: TileLayout,
): Promise<TrainedWeights> {
  const effective = workshop.upload(tileWeights(weight, layout), `${name}.weight`);
  const gradient = workshop.empty(layout.length * 4, `${name}.weight gradient`);
  const velocity = workshop.empty(layout.length * 4, `${name}.weight velocity`);
  const step = await descend(workshop, descent, { weights: effective, gradient }, velocity, layout.length);
  const state: State = new Map([
    [`${name}.weight`, effective],
    [`velocity.${name}.weight`, velocity],
  ]);
  return { effective, gradient, prepare: [], update: [step], state };
}

/** Weights that are codebook[codes]: the centroids move, by their gradient or as their members' mean. */
export async function codebookWeights(
  workshop: Workshop,
  descent: Descent,
  name: string,
  { codes, codebook }: CodebookLayer,
  layout: TileLayout,
  rule: QuantizedTraining['centroids'],
): Promise<TrainedWeights> {
  const segments = codebook.length;
  const { runtime } = workshop;
  let current = codes.slice();
  const positions = realPositions(layout);
  // Padded elements decode to the first centroid: they meet zeros in the input, or channels scaled by zero.
  const codeBuffer = workshop.empty(layout.length, `${name}.codes`);
  const members = workshop.empty(positions.length * 4, `${name} members`);
  const offsets = workshop.empty((segments + 1) * 4, `${name} offsets`);
  const load = () => {
    runtime.device.queue.writeBuffer(codeBuffer, 0, tileWeights(current, layout) as Uint8Array<ArrayBuffer>);
    const starts = new Uint32Array(segments + 1);
    for (const code of current) starts[code + 1]++;
    for (let k = 0; k < segments; k++) starts[k + 1] += starts[k];
    runtime.device.queue.writeBuffer(offsets, 0, starts);
    const sorted = new Uint32Array(current.length);
    const next = starts.slice();
    for (let i = 0; i < current.length; i++) sorted[next[current[i]]++] = positions[i];
    runtime.device.queue.writeBuffer(members, 0, sorted);
  };
  load();
  const centroids = workshop.upload(codebook, `${name}.codebook`);
  const effective = workshop.empty(layout.length * 4, `${name}.weight`);
  const gradient = workshop.empty(layout.length * 4, `${name}.weight gradient`);
  const decode = await workshop.bind(
    codebookDecode,
    { codes: codeBuffer, codebook: centroids, output: effective },
    { count: layout.length, clusters: segments, groups: 1, groupStride: layout.length },
  );
  const splits = Math.max(1, Math.min(256, Math.ceil(positions.length / segments / 64)));
  const partial = workshop.empty(splits * segments * 4, `${name} partial sums`);
  const sumMembers = async (values: GPUBuffer, output: GPUBuffer, mean: number) => [
    await workshop.bind(
      codebookGradientKernel,
      { members, offsets, values, partial },
      { segments, splits, mean },
    ),
    await workshop.bind(sumSplitsKernel, { partial, output }, { count: segments, splits }),
  ];
  let recenter: Call[] | undefined;
  const state: State = new Map([[`${name}.codebook`, centroids]]);
  const update: Call[] = [];
  if (rule !== 'mean') {
    const sums = workshop.empty(segments * 4, `${name}.codebook gradient`);
    const velocity = workshop.empty(segments * 4, `${name}.codebook velocity`);
    state.set(`velocity.${name}.codebook`, velocity);
    update.push(...(await sumMembers(gradient, sums, rule === 'mean-gradient' ? 1 : 0)));
    update.push(await descend(workshop, descent, { weights: centroids, gradient: sums }, velocity, segments));
  } else {
    const velocity = workshop.empty(layout.length * 4, `${name}.weight velocity`);
    state.set(`velocity.${name}.weight`, velocity);
    update.push(await descend(workshop, descent, { weights: effective, gradient }, velocity, layout.length));
    update.push(...(await sumMembers(effective, centroids, 1)));
  }
  return {
    effective,
    gradient,
    prepare: [decode],
    update,
    state,
    codes: () => current,
    setCodes(restored) {
      current = restored.slice();
      load();
    },
    async reassign() {
      // Before the next decode the buffer still holds the weights the step moved.
      const tiled = new Float32Array(await runtime.read(effective));
      const values = new Float32Array(await runtime.read(centroids));
      current = current.map((code, i) => {
        const weight = tiled[positions[i]];
        let best = code;
        for (let k = 0; k < segments; k++) {
          if (Math.abs(values[k] - weight) < Math.abs(values[best] - weight)) best = k;
        }
        return best;
      });
      load();
      recenter ??= await sumMembers(effective, centroids, 1);
      runtime.submit(recenter);
    },
  };
}

/** Weights that a forward pass rounds to integers times a step size a channel (straight-through estimator, LSQ). */
export async function roundedWeights(
  workshop: Workshop,
  descent: Descent,
  name: string,
  weight: Float32Array,
  { bits, scale }: LinearLayer,
  layout: TileLayout,
  learnedStep: boolean,
): Promise<TrainedWeights> {
  const count = layout.length;
  const channels = layout.tileCount * layout.tileChannels;
  const block = count / layout.tileCount;
  const lanes = layout.tileChannels;
  const [quantMin, quantMax] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const range = { count, block, lanes, quantMin, quantMax };
  const pairs = new Float32Array(channels * 2);
  for (let c = 0; c < channels; c++) pairs[c * 2] = scale[c] ?? 1;
  const qparams = workshop.upload(pairs, `${name} qparams`);
  const master = workshop.upload(tileWeights(weight, layout), `${name}.weight`);
  const velocity = workshop.empty(count * 4, `${name}.weight velocity`);
  const effective = workshop.empty(count * 4, `${name} rounded weight`);
  const gradient = workshop.empty(count * 4, `${name} rounded gradient`);
  const passed = workshop.empty(count * 4, `${name}.weight gradient`);
  const round = await workshop.bind(fakeQuantizeKernel, { input: master, qparams, output: effective }, range);
  const through = await workshop.bind(
    fakeQuantizeGradientKernel,
    { input: master, gradient, qparams, output: passed },
    range,
  );
  const update: Call[] = [through];
  const state: State = new Map([
    [`${name}.weight`, master],
    [`velocity.${name}.weight`, velocity],
    [`${name}.qparams`, qparams],
  ]);
  if (learnedStep) {
    const elements = block / lanes;
    const chunk = Math.min(256, elements);
    const splits = Math.ceil(elements / chunk);
    const real = (layout.shape.inChannels * layout.shape.kernelHeight * layout.shape.kernelWidth) as number;
    const gradientScale = 1 / Math.sqrt(real * quantMax);
    const partial = workshop.empty(splits * channels * 8, `${name} step partial sums`);
    const steps = workshop.empty(channels * 8, `${name} step gradient`);
    const stepVelocity = workshop.empty(channels * 8, `${name} step velocity`);
    state.set(`velocity.${name}.qparams`, stepVelocity);
    const bound = { input: master, gradient, qparams, partial };
    update.push(
      await workshop.bind(stepSizeGradientKernel, bound, { ...range, chunk, gradientScale }),
      await workshop.bind(sumSplitsKernel, { partial, output: steps }, { count: channels * 2, splits }),
      await descend(
        workshop,
        { ...descent, weightDecay: 0 },
        { weights: qparams, gradient: steps },
        stepVelocity,
        channels * 2,
      ),
    );
  }
  update.push(await descend(workshop, descent, { weights: master, gradient: passed }, velocity, count));
  return { effective, gradient, prepare: [round], update, state };
}

/** Where each OIHW element lies in the tiled order. */
function realPositions(layout: TileLayout): Uint32Array {
  const { shape, tileChannels, paddedChannels } = layout;
  const taps = shape.kernelHeight * shape.kernelWidth;
  const row = shape.inChannels * taps;
  return Uint32Array.from({ length: shape.outChannels * row }, (_, i) => {
    const o = Math.floor(i / row);
    const c = Math.floor(i / taps) % shape.inChannels;
    const at = (Math.floor(o / tileChannels) * taps + (i % taps)) * paddedChannels + c;
    return at * tileChannels + (o % tileChannels);
  });
}
