import { chooseTiled, type Limits, tiledFloatSpecialization } from '../conv/tiled-tile.ts';
import { type TileLayout, tileLayout } from '../conv/weight-layout.ts';
import { conv2dFilterGradientTiledKernel } from '../kernels/conv2d-filter-gradient-tiled.ts';
import { conv2dTiledKernel } from '../kernels/conv2d-tiled.ts';
import { retileWeightsKernel } from '../kernels/retile-weights.ts';
import { chooseFilterTile, filterChunk, filterSpecialization } from './filter-tile.ts';
import {
  type ConvGeometry,
  type ConvPlan,
  convParams,
  LARGEST,
  outputPixels,
  vectorsOf,
  weightLayout,
} from './geometry.ts';

/** A convolution by `conv2d-tiled`: first `retile-weights` from the trainer's order, which is one on every adapter. */
export interface TiledPlan {
  retile: ConvPlan;
  product: ConvPlan;
  /** What is retiled: as many floats as its `length`. */
  layout: TileLayout;
}

/** How `conv2d-tiled` computes a batch; not for depthwise convolutions. */
export function planTiledConv(limits: Limits, conv: ConvGeometry, batch: number): TiledPlan {
  return planTiled(limits, conv, conv, batch);
}

/**
 * How `conv2d-tiled` computes a convolution's input gradient: as the convolution of the output's gradient with the
 * weights flipped and their channels' roles exchanged.
 *
 * @returns null where that is none: by strides or, with more padding than the kernel reaches, from within the gradient
 */
export function planTiledInputGradient(limits: Limits, conv: ConvGeometry, batch: number): TiledPlan | null {
  const { input, shape, kernel, strides, dilations, pads } = conv;
  const before = [0, 1].map((axis) => (kernel[axis] - 1) * dilations[axis] - pads[axis]);
  if (conv.depthwise || strides.some((stride) => stride > 1) || before.some((pad) => pad < 0)) return null;
  // Where the window ends follows from the size of what comes out.
  const [top, left] = before;
  return planTiled(limits, { ...conv, input: shape, shape: input, pads: [top, left, 0, 0] }, conv, batch);
}

function planTiled(limits: Limits, run: ConvGeometry, conv: ConvGeometry, batch: number): TiledPlan {
  const [kernelHeight, kernelWidth] = run.kernel;
  const pixelCount = outputPixels(run, batch);
  const weights = { outChannels: run.shape.channels, inChannels: run.input.channels, groups: 1 };
  const shape = { ...weights, kernelHeight, kernelWidth };
  const tile = chooseTiled(limits, pixelCount, shape, 'f32');
  const layout = tileLayout(shape, tile.tileVectors);
  const { groupTiles, tileCount } = layout;
  return {
    layout,
    retile: {
      kernel: retileWeightsKernel,
      params: {
        taps: kernelHeight * kernelWidth,
        inputChannels: conv.input.channels,
        outputChannels: conv.shape.channels,
      },
      specialization: { SWAP: run === conv ? '0u' : '1u', TILE_VECTORS: `${tile.tileVectors}u` },
    },
    product: {
      kernel: conv2dTiledKernel,
      params: {
        ...convParams(run),
        inputVectors: vectorsOf(run.input),
        outputVectors: vectorsOf(run.shape),
        groupVectors: vectorsOf(run.input),
        groupTiles,
        pixelCount,
        tileCount,
        pool: 0,
        low: -LARGEST,
        high: LARGEST,
      },
      specialization: tiledFloatSpecialization(tile),
    },
  };
}

/** How `conv2d-filter-gradient-tiled` computes a batch: in parts that `sum-splits` adds. */
export function planTiledFilterGradient(conv: ConvGeometry, batch: number): ConvPlan {
  const gemm = gemmOf(conv, batch);
  const tile = chooseFilterTile(gemm);
  return {
    kernel: conv2dFilterGradientTiledKernel,
    params: {
      ...convParams(conv),
      inputVectors: vectorsOf(conv.input),
      outputVectors: vectorsOf(conv.shape),
      pixelCount: gemm.pixelCount,
      chunk: filterChunk(tile, gemm, weightLayout(conv).length),
    },
    specialization: filterSpecialization(tile),
  };
}

function gemmOf(conv: ConvGeometry, batch: number) {
  return {
    rows: conv.kernel[0] * conv.kernel[1] * vectorsOf(conv.input),
    columns: vectorsOf(conv.shape),
    pixelCount: outputPixels(conv, batch),
  };
}
