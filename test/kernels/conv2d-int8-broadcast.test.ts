import { describe } from 'vitest';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { conv2dInt8BroadcastKernel } from '../../src/kernels/conv2d-int8-broadcast.ts';
import { testConv2dInt8 } from '../support/conv2d-int8.ts';

// [pixels, vectors of four channels, threads]; four lanes are right on every adapter here, eight are chosen by shape.
const tiles = [
  [4, 4, 8],
  [8, 4, 64],
].map(([pixels, tileVectors, size]) => ({
  tileVectors,
  specialization: {
    LANES: '4u',
    TILE_PIXELS: `${pixels}u`,
    TILE_VECTORS: `${tileVectors}u`,
    WORKGROUP_SIZE: size,
  },
}));

describe('conv2d-int8-broadcast', () =>
  testConv2dInt8('lavapipe', conv2dInt8BroadcastKernel as unknown as Kernel, tiles, 16));
