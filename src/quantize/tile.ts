import type { Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { WeightShape } from './weight-layout.ts';

/** Tile shape of a convolution and the specialization that says so. */
export interface ConvTile {
  tileVectors: number;
  specialization: Specialization;
  /** The kernel without private arrays (`conv2d-unrolled`, `conv2d-int8-unrolled`) serves this adapter better. */
  unrolled: boolean;
}

/**
 * The tile an adapter gives a convolution over `pixelCount` pixels before any tuning.
 *
 * @param shape A group that is no whole number of tiles makes the convolution dense, so groups get tiles that divide.
 */
export function chooseTile(
  pixelCount: number,
  { outChannels, groups }: Pick<WeightShape, 'outChannels' | 'groups'>,
  int8: boolean,
  software: Runtime['adapter']['software'],
): ConvTile {
  if (software === 'swiftshader') {
    return { tileVectors: 2, specialization: { WORKGROUP_SIZE: 8 }, unrolled: true };
  }
  // Fewer pixels a thread once the batch can't fill the lanes, so that small layers still use every core.
  const tilePixels = pixelCount >= 8 * 16 ? 8 : 4;
  const channels = outChannels / groups;
  const widest = channels > 8 ? 4 : channels > 4 ? 2 : 1;
  const dividing = [4, 2, 1].find((vectors) => channels % (vectors * 4) === 0);
  const tileVectors = groups > 1 ? (dividing ?? widest) : widest;
  const full = int8 ? 16 : 64;
  return {
    tileVectors,
    specialization: {
      TILE_PIXELS: `${tilePixels}u`,
      TILE_VECTORS: `${tileVectors}u`,
      WORKGROUP_SIZE: pixelCount >= tilePixels * full ? full : 8,
    },
    unrolled: false,
  };
}
