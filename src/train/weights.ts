import { type TileLayout, tileWeights } from '../conv/weight-layout.ts';
import type { Call } from '../gpu/call.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { sgdStepKernel } from '../kernels/sgd-step.ts';

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
