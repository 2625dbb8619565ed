import type { KernelPreference } from '../conv/kernel-choice.ts';
import type { TileLayout } from '../conv/weight-layout.ts';
import type { Call } from '../gpu/call.ts';
import type { ImageModel, ImageShape } from '../model/graph.ts';
import type { ActivationQparams, CodebookLayer, LinearLayer } from '../model/quantized-model.ts';
import type { BoundKernels } from './convolution.ts';
import type { Descent, QuantizedTraining, State, TrainedWeights, Workshop } from './weights.ts';

/** What a network is built for. */
export interface NetworkOptions {
  batch: number;
  momentum: number;
  nesterov: boolean;
  weightDecay: number;
  labelSmoothing: number;
  /** Keeps a moving average of every parameter. */
  average: boolean;
  /** Layers trained at a precision; the others are float32. */
  quantized?: ReadonlyMap<string, CodebookLayer | LinearLayer>;
  /** Batch norm normalizes by the running statistics that the model has, and leaves them as they are. */
  keepStatistics: boolean;
  /** Activations rounded to int8, by the name of the tensor; linear only. */
  activations?: ReadonlyMap<string, ActivationQparams>;
  training: QuantizedTraining;
  /** A network whose logits are learned from too. */
  teacher?: Teacher;
  /** The family of the convolutions' kernels: the adapter's (`auto`) unless given. */
  kernels?: KernelPreference;
}

/** A network to learn from, and how. */
export interface Teacher {
  /** In float32, of the same input and as many outputs. */
  model: ImageModel;
  /** Of the loss that comes from its logits instead of the labels, above 0 to 1 (1). */
  share?: number;
  /** What both networks' logits are divided by (4): the higher, the more the order of wrong classes counts. */
  temperature?: number;
}

/** What the passes share while a network is built. */
export interface Builder {
  model: ImageModel;
  workshop: Workshop;
  kernels: BoundKernels;
  options: NetworkOptions;
  descent: Descent;
  partial: GPUBuffer;
  state: State;
  layouts: Map<string, TileLayout>;
  weights: Map<string, TrainedWeights>;
  gradients: GradientPool;
  /** The grids of tensors; pools pass theirs on, averages rounded to it again. */
  grids: Map<string, GPUBuffer>;
  /** Grids that training moves, by the name of their tensor. */
  observed: Map<string, GPUBuffer>;
  /** What batch norm normalized the last batch by, by its name; nothing where statistics are kept. */
  statistics: Map<string, GPUBuffer>;
  bytesOf(shape: ImageShape): number;
}

/** Buffers for gradients, each large enough for any tensor's, given back when all their readers are bound. */
export interface GradientPool {
  /** A buffer with one reader. */
  take(): GPUBuffer;
  /** One more will read it. */
  share(buffer: GPUBuffer): GPUBuffer;
  /** A reader is done. */
  give(buffer: GPUBuffer): void;
}

/** Gradients in the order that the backward pass is bound, which is the order it runs in. */
export function gradientPool(create: () => GPUBuffer): GradientPool {
  const free: GPUBuffer[] = [];
  const readers = new Map<GPUBuffer, number>();
  const count = (buffer: GPUBuffer, change: number) => {
    const now = (readers.get(buffer) ?? 0) + change;
    readers.set(buffer, now);
    if (now === 0) free.push(buffer);
    return buffer;
  };
  return {
    take: () => count(free.pop() ?? create(), 1),
    share: (buffer) => count(buffer, 1),
    give: (buffer) => void count(buffer, -1),
  };
}

/** One layer's forward pass, and what its backward pass reads of it. */
export interface Stages {
  forward: Call[];
  /** Of a training step alone: moves the grid before `round`. */
  observe?: Call[];
  round?: Call;
  /** What it reads. */
  inputs: readonly GPUBuffer[];
  output: GPUBuffer;
  /** What the layer left before rounding. */
  normal?: GPUBuffer;
  /** Before normalization or the clamp: a convolution's own output, or a sum. */
  sums?: GPUBuffer;
  statistics?: GPUBuffer;
  affine?: GPUBuffer;
  rounding?: { qparams: GPUBuffer; range: Record<string, number> };
}
