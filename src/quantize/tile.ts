import type { Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';

/** Tile shape of a convolution and the specialization that says so. */
export interface ConvTile {
  tileVectors: number;
  specialization: Specialization;
  /** The kernel without private arrays (`conv2d-unrolled`) serves this adapter better. */
  unrolled: boolean;
}

/** The tile an adapter gives a convolution over `pixelCount` pixels before any tuning. */
export function chooseTile(
  pixelCount: number,
  int8: boolean,
  software: Runtime['adapter']['software'],
): ConvTile {
  if (!int8 && software === 'swiftshader') {
    return { tileVectors: 2, specialization: { WORKGROUP_SIZE: 8 }, unrolled: true };
  }
  // Fewer pixels a thread once the batch can't fill the lanes, so that small layers still use every core.
  const wide = int8 ? 16 : 8;
  const tilePixels = pixelCount >= wide * 32 ? wide : pixelCount >= 8 * 16 ? 8 : 4;
  const fullWorkgroup = int8 ? 32 : 64;
  const specialization: Specialization = {
    TILE_PIXELS: `${tilePixels}u`,
    TILE_VECTORS: int8 ? '2u' : '4u',
    WORKGROUP_SIZE: pixelCount >= tilePixels * fullWorkgroup ? fullWorkgroup : 8,
  };
  if (int8) specialization.DOT = software === 'swiftshader' ? '1u' : '0u';
  return { tileVectors: int8 ? 2 : 4, specialization, unrolled: false };
}
