import { describe } from 'vitest';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { conv2dInt8Kernel } from '../../src/kernels/conv2d-int8.ts';
import { testConv2dInt8 } from '../support/conv2d-int8.ts';

// [pixels, vectors of four channels, threads]
const tiles = [
  [4, 1, 8],
  [16, 2, 64],
  [8, 4, 16],
  [4, 4, 8],
].map(([pixels, tileVectors, size]) => ({
  tileVectors,
  specialization: {
    TILE_PIXELS: `${pixels}u`,
    TILE_VECTORS: `${tileVectors}u`,
    WORKGROUP_SIZE: size,
  },
}));

describe('conv2d-int8', () => testConv2dInt8(null, conv2dInt8Kernel as unknown as Kernel, tiles));
