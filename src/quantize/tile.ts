import type { Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';

/** Tile shape of a convolution and the specialization that says so. */
export interface ConvTile {
  tileVectors: number;
  specialization: Specialization;
}

/** The tile an adapter profile gives a convolution over `pixelCount` pixels before any tuning. */
export function chooseTile(
  pixelCount: number,
  int8: boolean,
  software: Runtime['adapter']['software'],
): ConvTile {
  // Fewer pixels a thread once the batch can't fill 32 threads of 16, so small layers still use every lane.
  const tilePixels = pixelCount >= 16 * 32 ? 16 : pixelCount >= 8 * 16 ? 8 : 4;
  const workgroupSize = pixelCount >= tilePixels * 32 ? 32 : 8;
  const specialization: Specialization = {
    TILE_PIXELS: `${tilePixels}u`,
    TILE_VECTORS: '2u',
    WORKGROUP_SIZE: workgroupSize,
  };
  if (int8) specialization.DOT = software === 'swiftshader' ? '1u' : '0u';
  return { tileVectors: 2, specialization };
}
