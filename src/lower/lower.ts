import type { FloatChoice } from '../conv/float-choice.ts';
import type { Int8Choice, KernelPreference } from '../conv/kernel-choice.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import type { OnnxDType } from '../graph/ops/value.ts';
import type { ImageShape } from '../model/graph.ts';
import type { ImageView } from '../model/images.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import { roundHalfToEven } from '../reference/round.ts';
import type { Bridge } from './bridges.ts';
import type { ConvLayer } from './fuse.ts';
import type { TensorOperand } from './placement.ts';

/** What a step binds: an activation by name (placed in the arena by lifetime) or data uploaded once. */
export type Operand = { tensor: string; byteLength: number } | { constant: ArrayBufferView; label: string };

/** One dispatch of a lowered model, before kernels are compiled and buffers exist. */
export interface Step {
  /** The layer it came from. */
  name: string;
  kernel: Kernel;
  specialization: Specialization;
  /** By binding name; the binding's access says whether it is read or written. */
  operands: Record<string, Operand>;
  params: Record<string, number>;
  /** Multiply-accumulates, for throughput. */
  macs: number;
  /** The output's shape for one image, for reports. */
  shape: ImageShape;
}

/** An input of a lowered model: what the host writes, and the step that makes of it what the network reads. */
export interface LoweredInput {
  name: string;
  dtype: OnnxDType;
  dims: readonly number[];
  /** What the host writes. */
  port: TensorOperand;
  /** How images enter; null where the network reads the port as it is, a word an element in the usual order. */
  images: ImageEntry | null;
}

/**
 * How N x H x W x C images enter: a step for each type, all writing the same tensor. An integer model has a scale and
 * zero point by which images of either type become the bytes that `uint8` reads.
 */
export interface ImageEntry {
  shape: ImageView;
  /** Which dimension of the input holds the channels. */
  axis: number;
  uint8: Step;
  float32: Step | null;
  qparams: ActivationQparams | null;
}

/** An output of a lowered model: rows of elements, each row maybe padded; or a constant. */
export interface LoweredOutput {
  name: string;
  dtype: OnnxDType;
  dims: readonly number[];
  operand: TensorOperand | null;
  constant: OnnxTensor | null;
  rows: number;
  channels: number;
  stride: number;
  /** Of int8 codes. */
  qparams: ActivationQparams | null;
}

/** A model lowered to dispatches for one set of shapes. */
export interface LoweredModel {
  inputs: LoweredInput[];
  steps: Step[];
  outputs: LoweredOutput[];
  /** Between the caller's buffers and the inputs and outputs. */
  bridges: { inputs: Bridge[]; outputs: Bridge[] };
}

/** Kernels and tiles that a tuner has found for layers; null leaves a layer the library's own choice. */
export interface KernelChooser {
  int8(layer: ConvLayer): Int8Choice | null;
  float(layer: ConvLayer): FloatChoice | null;
}

/** Options of every lowering. */
export interface LowerOptions {
  kernels?: KernelPreference;
  /** f16 products in float layers without a codebook. */
  float16?: boolean;
  choose?: KernelChooser;
  /** Steps of this layer alone. */
  only?: string;
  shapes?: ShapeOptions;
}

/** Words (int8) or vectors (f32) of four channels a pixel takes. */
export const vectors = (shape: ImageShape) => Math.ceil(shape.channels / 4);

/** Pixels of one image. */
export const pixels = (shape: ImageShape) => shape.height * shape.width;

/** A fused activation's bounds, infinite without one: infinities, as of a mask, go through. */
export interface Clamp {
  low: number;
  high: number;
}

/** The largest float32. */
export const FINITE = 3.4028234663852886e38;

/** Those of float outputs of an integer kernel, whose params are i32: the bits of the float bounds. */
export function floatBoundWords({ low, high }: Clamp): Clamp {
  const [lowWord, highWord] = new Int32Array(Float32Array.of(low, high).buffer);
  return { low: lowWord, high: highWord };
}

/** Bounds of int8 outputs: the codes of the float bounds, saturated. */
export function codeBounds({ low, high }: Clamp, { scale, zeroPoint }: ActivationQparams): Clamp {
  const code = (value: number) => Math.max(-128, Math.min(127, roundHalfToEven(value / scale) + zeroPoint));
  return { low: low === -Infinity ? -128 : code(low), high: high === Infinity ? 127 : code(high) };
}
