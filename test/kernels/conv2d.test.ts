import { describe } from 'vitest';
import { conv2dKernel } from '../../src/kernels/conv2d.ts';
import { testConv2d, testStores } from '../support/conv2d.ts';

describe('conv2d', () => {
  testConv2d(null, { kernels: 'registers' });
  testStores(conv2dKernel, 4, { TILE_PIXELS: '4u', TILE_VECTORS: '4u', WORKGROUP_SIZE: 8 });
});
