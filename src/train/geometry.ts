import type { Specialization } from '../gpu/kernel.ts';
import { conv2dKernel } from '../kernels/conv2d.ts';
import { conv2dFilterGradientKernel } from '../kernels/conv2d-filter-gradient.ts';
import { conv2dInputGradientKernel } from '../kernels/conv2d-input-gradient.ts';
import { depthwiseConv2dKernel } from '../kernels/depthwise-conv2d.ts';
import { depthwiseFilterGradientKernel } from '../kernels/depthwise-filter-gradient.ts';
import { depthwiseInputGradientKernel } from '../kernels/depthwise-input-gradient.ts';
import type { ImageShape } from '../model/graph.ts';
import { depthwiseLayout, type TileLayout, tileLayout } from '../quantize/weight-layout.ts';
import type { TrainedConv, TrainedPool } from './layers.ts';

/** A convolution of one group or, depthwise, of one a channel: what its kernels need to know. */
export type ConvGeometry = Pick<
  TrainedConv,
  'input' | 'shape' | 'kernel' | 'strides' | 'dilations' | 'pads'
> &
  Partial<Pick<TrainedConv, 'depthwise'>>;

/** A kernel, its parameters and specialization for one convolution. */
export interface ConvPlan {
  kernel: unknown;
  params: Record<string, number>;
  specialization: Specialization;
}

/** Channels in vectors of four, as activations are stored. */
export const vectorsOf = ({ channels }: Pick<ImageShape, 'channels'>) => Math.ceil(channels / 4);

/** Output channels of a weight tile over four: the layout that the three convolution kernels share here. */
const TILE_VECTORS = 4;
export const LARGEST = 3.4028234663852886e38;

/** What {@link planConv}, {@link planInputGradient} and {@link planFilterGradient} choose from. */
export const SPECIALIZATIONS = {
  conv2d: [
    { TILE_VECTORS: `${TILE_VECTORS}u`, TILE_PIXELS: '8u', WORKGROUP_SIZE: 64 },
    { TILE_VECTORS: `${TILE_VECTORS}u`, TILE_PIXELS: '8u', WORKGROUP_SIZE: 8 },
    { TILE_VECTORS: `${TILE_VECTORS}u`, TILE_PIXELS: '4u', WORKGROUP_SIZE: 8 },
  ],
  inputGradient: [
    { TILE_PIXELS: '16u', WORKGROUP_SIZE: 32 },
    { TILE_PIXELS: '4u', WORKGROUP_SIZE: 8 },
  ],
  filterGradient: [{ WORKGROUP_SIZE: 32 }, { WORKGROUP_SIZE: 8 }],
} as const;

/** The tiled order of a convolution's weights. */
export function weightLayout({ input, shape, kernel, depthwise }: ConvGeometry): TileLayout {
  const [kernelHeight, kernelWidth] = kernel;
  const own = { outChannels: shape.channels, kernelHeight, kernelWidth };
  if (depthwise) return depthwiseLayout(own);
  return tileLayout({ ...own, inChannels: input.channels, groups: 1 }, TILE_VECTORS);
}

/** How `conv2d` computes a batch, clamped from `low` to `high`; `depthwise-conv2d` has no clamp. */
export function planConv(conv: ConvGeometry, batch: number, low = -LARGEST, high = LARGEST): ConvPlan {
  const { groupTiles, tileCount } = weightLayout(conv);
  const pixelCount = outputPixels(conv, batch);
  if (conv.depthwise) return depthwisePlan(depthwiseConv2dKernel, conv, pixelCount);
  const [large, medium, small] = SPECIALIZATIONS.conv2d;
  return {
    kernel: conv2dKernel,
    params: {
      ...convParams(conv),
      inputVectors: vectorsOf(conv.input),
      outputVectors: vectorsOf(conv.shape),
      groupVectors: vectorsOf(conv.input),
      groupTiles,
      pixelCount,
      tileCount,
      low,
      high,
    },
    specialization: pixelCount >= 8 * 64 ? large : pixelCount >= 8 * 16 ? medium : small,
  };
}

/** How `conv2d-input-gradient` or `depthwise-input-gradient` computes a batch. */
export function planInputGradient(conv: ConvGeometry, batch: number): ConvPlan {
  const pixelCount = batch * conv.input.height * conv.input.width;
  if (conv.depthwise) return depthwisePlan(depthwiseInputGradientKernel, conv, pixelCount);
  const [large, small] = SPECIALIZATIONS.inputGradient;
  return {
    kernel: conv2dInputGradientKernel,
    params: {
      ...convParams(conv),
      inputChannels: conv.input.channels,
      outputVectors: vectorsOf(conv.shape),
      pixelCount,
    },
    specialization: pixelCount >= 16 * 32 ? large : small,
  };
}

/**
 * How a filter gradient is split along a batch's pixels: enough threads for a GPU, partial sums of at most 64 MiB.
 * `sum-splits` then adds `splits` parts of `length` elements.
 */
export function planFilterGradient(
  conv: ConvGeometry,
  batch: number,
): ConvPlan & { splits: number; length: number } {
  const { length } = weightLayout(conv);
  const pixelCount = outputPixels(conv, batch);
  const taps = conv.kernel[0] * conv.kernel[1];
  const items = taps * Math.ceil(vectorsOf(conv.input) / 2);
  const tiles = Math.ceil(vectorsOf(conv.shape) / TILE_VECTORS);
  const threads = conv.depthwise ? taps * tiles * TILE_VECTORS : items * tiles * 2;
  const wanted = Math.ceil(65536 / threads);
  const limit = Math.max(1, Math.floor((64 << 20) / (length * 4)));
  const chunk = Math.max(64, Math.ceil(pixelCount / Math.min(wanted, limit)));
  const split = { splits: Math.ceil(pixelCount / chunk), length };
  if (conv.depthwise) {
    const plan = depthwisePlan(depthwiseFilterGradientKernel, conv, pixelCount);
    return { ...plan, params: { ...plan.params, chunk }, ...split };
  }
  const [large, small] = SPECIALIZATIONS.filterGradient;
  return {
    kernel: conv2dFilterGradientKernel,
    params: {
      ...convParams(conv),
      inputVectors: vectorsOf(conv.input),
      outputVectors: vectorsOf(conv.shape),
      pixelCount,
      chunk,
    },
    specialization: items <= 16 ? small : large,
    ...split,
  };
}

function depthwisePlan(kernel: unknown, conv: ConvGeometry, pixelCount: number): ConvPlan {
  return {
    kernel,
    params: { ...convParams(conv), vectors: vectorsOf(conv.shape), pixelCount },
    specialization: {},
  };
}

/** Pixels of a batch's output. */
export function outputPixels({ shape }: Pick<ConvGeometry, 'shape'>, batch: number): number {
  return batch * shape.height * shape.width;
}

function convParams({ input, shape, kernel, strides, dilations, pads }: ConvGeometry) {
  return {
    inputHeight: input.height,
    inputWidth: input.width,
    outputHeight: shape.height,
    outputWidth: shape.width,
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: strides[0],
    strideWidth: strides[1],
    dilationHeight: dilations[0],
    dilationWidth: dilations[1],
    padTop: pads[0],
    padLeft: pads[1],
  };
}

/** The parameters that every pooling kernel takes. */
export function poolParams(layer: TrainedPool, batch: number) {
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
