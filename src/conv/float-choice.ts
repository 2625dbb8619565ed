import { check } from '../gpu/errors.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { conv2dKernel } from '../kernels/conv2d.ts';
import { conv2dBroadcastKernel } from '../kernels/conv2d-broadcast.ts';
import { conv2dTiledKernel } from '../kernels/conv2d-tiled.ts';
import { conv2dTiledCodebookKernel } from '../kernels/conv2d-tiled-codebook.ts';
import { conv2dTiledF16Kernel } from '../kernels/conv2d-tiled-f16.ts';
import { conv2dUnrolledKernel } from '../kernels/conv2d-unrolled.ts';
import { conv2dUnrolledBroadcastKernel } from '../kernels/conv2d-unrolled-broadcast.ts';
import { conv2dWinogradKernel } from '../kernels/conv2d-winograd.ts';
import { depthwiseConv2dKernel } from '../kernels/depthwise-conv2d.ts';
import { type KernelPreference, kernelFamily } from './kernel-choice.ts';
import { type ConvPlane, type ConvTile, type ConvVariant, chooseTile, depthwiseTile } from './tile.ts';
import { checkTiled, chooseTiled, type TiledTile, tiledFloatSpecialization } from './tiled-tile.ts';
import { isDepthwise, type WeightShape } from './weight-layout.ts';

/** The kernel and tile of one float convolution. */
export interface FloatChoice extends ConvTile {
  /** Staged in workgroup memory; codebook weights are then expanded while they are staged. */
  tiled?: boolean;
  /** Products in f16, weights stored as such. */
  half?: boolean;
}

/** The float convolutions that keep their sums in registers. */
export const floatVariants = {
  plain: conv2dKernel,
  unrolled: conv2dUnrolledKernel,
  broadcast: conv2dBroadcastKernel,
  'unrolled-broadcast': conv2dUnrolledBroadcastKernel,
  winograd: conv2dWinogradKernel,
  depthwise: depthwiseConv2dKernel,
} as unknown as Readonly<Record<ConvVariant, Kernel>>;

/** What besides the shape decides on a {@link FloatChoice}. */
export interface FloatOptions {
  kernels?: KernelPreference;
  /** f16 products where the tiled kernels run; not for codebooks. */
  float16?: boolean;
  /** A tuner's find instead of the library's own choice. */
  tile?: TiledTile;
  /** Where the windows lie; without it there is no Winograd. */
  plane?: ConvPlane;
}

/**
 * Chooses kernel and tile for a float convolution over `pixelCount` pixels. Depthwise convolutions have a kernel of their
 * own, in f32, whatever the options.
 *
 * @throws LloydError when `float16` is asked of a device without `shader-f16`, or of kernels in registers
 * @example
 * const { tileVectors, specialization } = chooseFloat(runtime, 32 * 32 * 32, shape, { kernels: 'tiled' });
 */
export function chooseFloat(
  runtime: Runtime,
  pixelCount: number,
  shape: WeightShape,
  { kernels, float16: half = false, tile: tuned, plane }: FloatOptions = {},
): FloatChoice {
  const family = kernelFamily(runtime, kernels);
  if (half) {
    check(
      runtime.device.features.has('shader-f16'),
      'float16 needs the device feature shader-f16',
      'a device without it',
      'leave float16 out, or request the feature',
    );
    check(family !== 'registers', 'float16 is the tiled kernels’', family, "add kernels: 'tiled'");
  }
  if (isDepthwise(shape)) return depthwiseTile(shape);
  if (family === 'registers') {
    return chooseTile(runtime, pixelCount, shape, false, plane);
  }
  const { limits } = runtime.device;
  const element = half ? 'f16' : 'f32';
  const tile = tuned ?? chooseTiled(limits, pixelCount, shape, element);
  checkTiled(limits, tile, element);
  const { tileVectors } = tile;
  return { tileVectors, specialization: tiledFloatSpecialization(tile), variant: 'plain', tiled: true, half };
}

/** The kernel of a choice; `packed` where its weights are codes of a codebook that the kernel expands itself. */
export function floatKernel({ tiled, half, variant }: FloatChoice, packed: boolean): Kernel {
  const plain = half ? conv2dTiledF16Kernel : conv2dTiledKernel;
  const kernel = tiled ? (packed ? conv2dTiledCodebookKernel : plain) : floatVariants[variant];
  return kernel as unknown as Kernel;
}
