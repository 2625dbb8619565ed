import { type KernelPreference, kernelFamily } from '../conv/kernel-choice.ts';
import { broadcastLanes, type Lanes } from '../conv/tile.ts';
import type { Limits } from '../conv/tiled-tile.ts';
import type { Call } from '../gpu/call.ts';
import type { Runtime } from '../gpu/runtime.ts';
import {
  type ConvGeometry,
  type ConvPlan,
  outputPixels,
  planConv,
  planFilterGradient,
  planInputGradient,
  weightLayout,
} from './geometry.ts';
import { bindSum } from './reductions.ts';
import {
  planTiledConv,
  planTiledFilterGradient,
  planTiledInputGradient,
  type TiledPlan,
} from './tiled-geometry.ts';
import type { Workshop } from './weights.ts';

/** What decides on the kernels of convolutions: in registers by lanes or, with limits, in workgroup tiles. */
export interface ConvKernels {
  lanes: Lanes;
  limits: Limits | null;
}

/** A network's kernels, and where weights are retiled: one layer's at a time, as calls run in order. */
export interface BoundKernels extends ConvKernels {
  retiled: GPUBuffer | null;
}

/**
 * The kernels of an adapter's training: workgroup tiles on GPUs, registers elsewhere, unless `preference` says. There
 * are no tensor cores for float32, so `tensor` is tiled where there are any.
 */
export function convKernels(runtime: Runtime, preference?: KernelPreference): ConvKernels {
  const tiled = kernelFamily(runtime, preference) !== 'registers';
  return { lanes: broadcastLanes(runtime), limits: tiled ? runtime.device.limits : null };
}

/** A convolution's forward pass where it is tiled; null where {@link planConv} computes it. */
export function tiledForward({ limits }: ConvKernels, conv: ConvGeometry, batch: number): TiledPlan | null {
  return limits && !conv.depthwise ? planTiledConv(limits, conv, batch) : null;
}

/** Its input gradient where that is tiled; null where {@link planInputGradient} computes it. */
export function tiledBackward({ limits }: ConvKernels, conv: ConvGeometry, batch: number): TiledPlan | null {
  return limits && planTiledInputGradient(limits, conv, batch);
}

/** Its filter gradient, in `splits` parts of `length` elements that `sum-splits` adds. */
export function filterParts(
  { lanes, limits }: ConvKernels,
  conv: ConvGeometry,
  batch: number,
): ConvPlan & { splits: number; length: number } {
  const tiled = limits !== null && !conv.depthwise;
  const plan = tiled ? planTiledFilterGradient(conv, batch) : planFilterGradient(conv, batch, lanes);
  const splits = Math.ceil(outputPixels(conv, batch) / plan.params.chunk);
  return { ...plan, splits, length: weightLayout(conv).length };
}

/** Bytes that the largest of these layers' retiled weights take; 0 where none are. */
export function retiledBytes(kernels: ConvKernels, convs: readonly ConvGeometry[], batch: number): number {
  const plans = convs.flatMap((conv) => [
    tiledForward(kernels, conv, batch),
    tiledBackward(kernels, conv, batch),
  ]);
  return Math.max(0, ...plans.map((plan) => (plan ? plan.layout.length * 4 : 0)));
}

interface Operands {
  input: GPUBuffer;
  /** In the order of `weightLayout`. */
  weights: GPUBuffer;
  output: GPUBuffer;
}

/** Binds a convolution of a batch. */
export async function bindConv(
  workshop: Workshop,
  kernels: BoundKernels,
  conv: ConvGeometry,
  batch: number,
  operands: Operands,
): Promise<Call[]> {
  const tiled = tiledForward(kernels, conv, batch);
  if (tiled) return bindTiled(workshop, kernels, tiled, conv.shape.channels, operands);
  const plan = planConv(conv, batch, kernels.lanes);
  const { tileCount, tileChannels } = weightLayout(conv);
  const epilogue = plainEpilogue(workshop, conv.shape.channels, tileCount * tileChannels);
  return [await bindPlan(workshop, plan, { ...operands, ...epilogue })];
}

/** Binds its gradient by the input, from that of its output. */
export async function bindInputGradient(
  workshop: Workshop,
  kernels: BoundKernels,
  conv: ConvGeometry,
  batch: number,
  { gradient, weights, inputGradient }: Record<'gradient' | 'weights' | 'inputGradient', GPUBuffer>,
): Promise<Call[]> {
  const tiled = tiledBackward(kernels, conv, batch);
  const operands = { input: gradient, weights, output: inputGradient };
  if (tiled) return bindTiled(workshop, kernels, tiled, conv.input.channels, operands);
  const plan = planInputGradient(conv, batch, kernels.lanes);
  return [await bindPlan(workshop, plan, { gradient, weights, inputGradient })];
}

/** Binds its gradient by the weights, in the order of `weightLayout`. */
export async function bindFilterGradient(
  workshop: Workshop,
  kernels: ConvKernels,
  conv: ConvGeometry,
  batch: number,
  buffers: Record<'input' | 'gradient' | 'partial' | 'output', GPUBuffer>,
): Promise<Call[]> {
  const { input, gradient, partial, output } = buffers;
  const parts = filterParts(kernels, conv, batch);
  return [
    await bindPlan(workshop, parts, { input, gradient, partial }),
    await bindSum(workshop, kernels, { partial, output }, parts.length, parts.splits),
  ];
}

async function bindTiled(
  workshop: Workshop,
  { retiled }: BoundKernels,
  { retile, product, layout }: TiledPlan,
  channels: number,
  { input, weights, output }: Operands,
): Promise<Call[]> {
  const epilogue = plainEpilogue(workshop, channels, layout.tileCount * layout.tileChannels);
  return [
    await bindPlan(workshop, retile, { weights, retiled: retiled! }),
    await bindPlan(workshop, product, { input, weights: retiled!, output, ...epilogue }),
  ];
}

function bindPlan(
  workshop: Workshop,
  { kernel, params, specialization }: ConvPlan,
  buffers: Record<string, GPUBuffer>,
): Promise<Call> {
  return workshop.bind(kernel, buffers, params, specialization);
}

/** The scale and shift that leave a sum as it is, and padding zero. */
function plainEpilogue(workshop: Workshop, channels: number, padded: number) {
  return {
    scale: workshop.upload(new Float32Array(padded).fill(1, 0, channels), 'ones'),
    shift: workshop.upload(new Float32Array(padded), 'zeros'),
  };
}
