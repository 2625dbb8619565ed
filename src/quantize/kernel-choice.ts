import { check } from '../gpu/errors.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { conv2dInt8Kernel } from '../kernels/conv2d-int8.ts';
import { conv2dInt8TiledKernel } from '../kernels/conv2d-int8-tiled.ts';
import { conv2dInt8UnrolledKernel } from '../kernels/conv2d-int8-unrolled.ts';
import { sumSplitsInt8Kernel } from '../kernels/sum-splits-int8.ts';
import { chooseTile } from './tile.ts';
import {
  checkTiled,
  chooseTiled,
  gemmShape,
  splitsFor,
  type TiledTile,
  tiledSpecialization,
} from './tiled-tile.ts';
import type { WeightShape } from './weight-layout.ts';

/** How a product keeps its operands: in registers alone (CPU adapters), or staged in workgroup memory (GPUs). */
export type KernelFamily = 'registers' | 'tiled';

/** `auto`: `tiled` on a GPU, `registers` on an adapter that is a CPU. */
export type KernelPreference = KernelFamily | 'auto';

/** The kernels of one int8 product: what the weights must be tiled for, and what to dispatch. */
export interface Int8Choice {
  family: KernelFamily;
  /** Vectors of four output channels a weight tile. */
  tileVectors: number;
  specialization: Specialization;
  /** Registers with every sum named, for adapters that keep private arrays in memory (`conv2d-int8-unrolled`). */
  unrolled: boolean;
  /** Parts that k is split into; above 1 there is a second dispatch. */
  splits: number;
}

/** A buffer of an int8 product; `partial` is what a split product's first dispatch leaves for its second. */
export type Int8Buffer = 'input' | 'weights' | 'bias' | 'multipliers' | 'output' | 'partial';

/** One dispatch of an int8 product, before buffers exist. */
export interface Int8Dispatch {
  kernel: Kernel;
  specialization: Specialization;
  params: Record<string, number>;
  /** By binding name. */
  buffers: Record<string, Int8Buffer>;
}

/**
 * Which kernels an adapter gets.
 *
 * @throws LloydError for another preference than `auto`, `registers` and `tiled`
 * @example
 * const family = kernelFamily(runtime, 'auto'); // 'tiled' on a GPU
 */
export function kernelFamily(
  { adapter }: Pick<Runtime, 'adapter'>,
  preference: KernelPreference = 'auto',
): KernelFamily {
  check(
    preference === 'auto' || preference === 'registers' || preference === 'tiled',
    "kernels must be 'auto', 'registers' or 'tiled'",
    preference,
  );
  if (preference !== 'auto') return preference;
  // A workgroup-tiled kernel runs at a third to a fifth of the register tiles' speed where a CPU plays the GPU.
  return adapter.profile === 'gpu' ? 'tiled' : 'registers';
}

/** Chooses kernel, tile and splits for an int8 convolution or, as a 1x1 convolution over rows, matrix product. */
export function chooseInt8(
  runtime: Runtime,
  pixelCount: number,
  shape: WeightShape,
  preference?: KernelPreference,
  tuned?: { tile: TiledTile; splits: number },
): Int8Choice {
  const family = kernelFamily(runtime, preference);
  if (family === 'registers') {
    const { tileVectors, specialization, unrolled } = chooseTile(
      pixelCount,
      shape.outChannels / shape.groups,
      true,
      runtime.adapter.software,
    );
    return { family, tileVectors, specialization, unrolled, splits: 1 };
  }
  const { limits } = runtime.device;
  const tile = tuned?.tile ?? chooseTiled(limits, pixelCount, shape);
  checkTiled(limits, tile);
  const gemm = gemmShape(pixelCount, shape, tile.tileVectors);
  return {
    family,
    tileVectors: tile.tileVectors,
    specialization: tiledSpecialization(tile, gemm.groupWords),
    unrolled: false,
    splits: tuned?.splits ?? splitsFor(tile, gemm),
  };
}

/**
 * The dispatches of an int8 convolution.
 *
 * @param specialization what both families have: POOL, OUTPUT, REQUANTIZE and, below 8 bits, WEIGHT_BITS
 * @param params of `conv2d-int8`
 */
export function int8Dispatches(
  choice: Int8Choice,
  specialization: Specialization,
  params: Record<string, number>,
): Int8Dispatch[] {
  const { splits } = choice;
  const all = { ...choice.specialization, ...specialization };
  const buffers = { input: 'input', weights: 'weights', bias: 'bias', multipliers: 'multipliers' } as const;
  if (choice.family === 'registers') {
    const kernel = (choice.unrolled ? conv2dInt8UnrolledKernel : conv2dInt8Kernel) as unknown as Kernel;
    return [{ kernel, specialization: all, params, buffers: { ...buffers, output: 'output' } }];
  }
  const product: Int8Dispatch = {
    kernel: conv2dInt8TiledKernel as unknown as Kernel,
    specialization: { ...all, SPLIT: splits > 1 ? '1u' : '0u' },
    params: { ...params, splits },
    buffers: { ...buffers, output: splits > 1 ? 'partial' : 'output' },
  };
  if (splits === 1) return [product];
  const { POOL = '0u', OUTPUT, REQUANTIZE } = specialization;
  const { pixelCount, outputWords, zeroPoint, low, high } = params;
  return [
    product,
    {
      kernel: sumSplitsInt8Kernel as unknown as Kernel,
      specialization: { POOL, OUTPUT, REQUANTIZE },
      params: {
        splits,
        pixelCount,
        vectorCount: params.tileCount * choice.tileVectors,
        outputWords,
        zeroPoint,
        low,
        high,
      },
      buffers: { partial: 'partial', bias: 'bias', multipliers: 'multipliers', output: 'output' },
    },
  ];
}

/** Bytes of the partial sums between a split product's two dispatches; 0 where there is one. */
export function partialBytes(
  { splits, tileVectors }: Int8Choice,
  pixelCount: number,
  tileCount: number,
): number {
  return splits > 1 ? splits * pixelCount * tileCount * tileVectors * 16 : 0;
}

/** The geometry of M x K times K x N as a convolution: M images of one pixel, a 1x1 kernel. */
export function matmulGeometry(M: number) {
  return {
    inputHeight: 1,
    inputWidth: 1,
    outputHeight: 1,
    outputWidth: 1,
    kernelHeight: 1,
    kernelWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 0,
    padLeft: 0,
    pixelCount: M,
  };
}
