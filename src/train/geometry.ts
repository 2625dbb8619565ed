import type { Lanes } from '../conv/tile.ts';
import { depthwiseLayout, type TileLayout, tileLayout } from '../conv/weight-layout.ts';
import type { Specialization } from '../gpu/kernel.ts';
import { conv2dKernel } from '../kernels/conv2d.ts';
import { conv2dBroadcastKernel } from '../kernels/conv2d-broadcast.ts';
import { conv2dFilterGradientKernel } from '../kernels/conv2d-filter-gradient.ts';
import { conv2dFilterGradientBroadcastKernel } from '../kernels/conv2d-filter-gradient-broadcast.ts';
import { conv2dInputGradientKernel } from '../kernels/conv2d-input-gradient.ts';
import { conv2dInputGradientBroadcastKernel } from '../kernels/conv2d-input-gradient-broadcast.ts';
import { depthwiseConv2dKernel } from '../kernels/depthwise-conv2d.ts';
import { depthwiseFilterGradientKernel } from '../kernels/depthwise-filter-gradient.ts';
import { depthwiseInputGradientKernel } from '../kernels/depthwise-input-gradient.ts';
import type { ImageShape } from '../model/graph.ts';
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

/** What {@link planConv}, {@link planInputGradient} and {@link planFilterGradient} choose from, the largest first. */
export function convChoices(lanes: Lanes) {
  const shared: Specialization = lanes === 0 ? {} : { LANES: `${lanes}u` };
  const forward = { ...shared, TILE_VECTORS: `${TILE_VECTORS}u` };
  const conv2d = {
    kernel: lanes === 0 ? conv2dKernel : conv2dBroadcastKernel,
    specializations: [
      { ...forward, TILE_PIXELS: '8u', WORKGROUP_SIZE: 64 },
      { ...forward, TILE_PIXELS: '8u', WORKGROUP_SIZE: 8 },
      { ...forward, TILE_PIXELS: '4u', WORKGROUP_SIZE: 8 },
    ],
  };
  if (lanes === 0) {
    return {
      conv2d,
      inputGradient: {
        kernel: conv2dInputGradientKernel,
        specializations: [
          { TILE_PIXELS: '16u', WORKGROUP_SIZE: 32 },
          { TILE_PIXELS: '4u', WORKGROUP_SIZE: 8 },
        ],
      },
      filterGradient: {
        kernel: conv2dFilterGradientKernel,
        specializations: [{ WORKGROUP_SIZE: 32 }, { WORKGROUP_SIZE: 8 }],
      },
    };
  }
  const specializations = ['8u', '4u'].map((vectors) => ({ ...shared, TILE_VECTORS: vectors }));
  return {
    conv2d,
    inputGradient: { kernel: conv2dInputGradientBroadcastKernel, specializations },
    filterGradient: { kernel: conv2dFilterGradientBroadcastKernel, specializations },
  };
}

/** The tiled order of a convolution's weights. */
export function weightLayout({ input, shape, kernel, depthwise }: ConvGeometry): TileLayout {
  const [kernelHeight, kernelWidth] = kernel;
  const own = { outChannels: shape.channels, kernelHeight, kernelWidth };
  if (depthwise) return depthwiseLayout(own);
  return tileLayout({ ...own, inChannels: input.channels, groups: 1 }, TILE_VECTORS);
}

/** How `conv2d`, its like or `depthwise-conv2d` computes a batch, clamped from `low` to `high`. */
export function planConv(
  conv: ConvGeometry,
  batch: number,
  lanes: Lanes,
  low = -LARGEST,
  high = LARGEST,
): ConvPlan {
  const { groupTiles, tileCount } = weightLayout(conv);
  const pixelCount = outputPixels(conv, batch);
  const params = {
    ...convParams(conv),
    inputVectors: vectorsOf(conv.input),
    outputVectors: vectorsOf(conv.shape),
    groupVectors: vectorsOf(conv.input),
    groupTiles,
    pixelCount,
    tileCount,
    pool: 0,
    low,
    high,
  };
  if (conv.depthwise) return { kernel: depthwiseConv2dKernel, params, specialization: {} };
  const { kernel, specializations } = convChoices(lanes).conv2d;
  const [large, medium, small] = specializations;
  return {
    kernel,
    params,
    specialization: pixelCount >= 8 * 64 ? large : pixelCount >= 8 * 16 ? medium : small,
  };
}

/** How `conv2d-input-gradient`, its like or `depthwise-input-gradient` computes a batch. */
export function planInputGradient(conv: ConvGeometry, batch: number, lanes: Lanes): ConvPlan {
  const pixelCount = batch * conv.input.height * conv.input.width;
  const params = {
    ...convParams(conv),
    inputChannels: conv.input.channels,
    outputVectors: vectorsOf(conv.shape),
    pixelCount,
  };
  if (conv.depthwise) return { kernel: depthwiseInputGradientKernel, params, specialization: {} };
  const { kernel, specializations } = convChoices(lanes).inputGradient;
  const [large, small] = specializations;
  const filled = lanes === 0 ? pixelCount >= 16 * 32 : vectorsOf(conv.input) > 4;
  return { kernel, params, specialization: filled ? large : small };
}

/**
 * How a filter gradient is split along a batch's pixels: enough threads for a GPU, partial sums of at most 64 MiB.
 * `sum-splits` then adds `splits` parts of `length` elements.
 */
export function filterSplits(conv: ConvGeometry, batch: number) {
  const { length } = weightLayout(conv);
  const pixelCount = outputPixels(conv, batch);
  const taps = conv.kernel[0] * conv.kernel[1];
  const tiles = Math.ceil(vectorsOf(conv.shape) / TILE_VECTORS);
  const pairs = Math.ceil(vectorsOf(conv.input) / 2);
  const threads = taps * tiles * (conv.depthwise ? TILE_VECTORS : pairs * 2);
  const wanted = Math.ceil(65536 / threads);
  const limit = Math.max(1, Math.floor((64 << 20) / (length * 4)));
  const chunk = Math.max(64, Math.ceil(pixelCount / Math.min(wanted, limit)));
  return { chunk, splits: Math.ceil(pixelCount / chunk), length };
}

/** How the parts of {@link filterSplits} are computed. */
export function planFilterGradient(conv: ConvGeometry, batch: number, lanes: Lanes): ConvPlan {
  const { chunk } = filterSplits(conv, batch);
  const params = {
    ...convParams(conv),
    inputVectors: vectorsOf(conv.input),
    outputVectors: vectorsOf(conv.shape),
    pixelCount: outputPixels(conv, batch),
    chunk,
  };
  if (conv.depthwise) return { kernel: depthwiseFilterGradientKernel, params, specialization: {} };
  const { kernel, specializations } = convChoices(lanes).filterGradient;
  const [large, small] = specializations;
  const items = conv.kernel[0] * conv.kernel[1] * Math.ceil(vectorsOf(conv.input) / 2);
  const filled = lanes === 0 ? items > 16 : vectorsOf(conv.shape) > 4;
  return { kernel, params, specialization: filled ? large : small };
}

/** Pixels of a batch's output. */
export function outputPixels({ shape }: Pick<ConvGeometry, 'shape'>, batch: number): number {
  return batch * shape.height * shape.width;
}

/** What every kernel over a convolution's windows is told. */
export function convParams({ input, shape, kernel, strides, dilations, pads }: ConvGeometry) {
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
