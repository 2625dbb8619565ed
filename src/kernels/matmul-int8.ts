import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import packedWeights from '../../shaders/lib/packed-weights.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import weightTile from '../../shaders/lib/weight-tile.wgsl?raw';
import source from '../../shaders/matmul-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dInt8Bindings } from './lib/params.ts';

/**
 * int8 matrix product with bias, clamp and requantization fused; shapes in `shaders/matmul-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.matmulInt8.create(device, {
 *   TILE_PIXELS: '4u', WORKGROUP_SIZE: 8, OUTPUT: '1u',
 * }); // 17 x 68 by 68 x 36, to int32
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   rowCount: 17, inputWords: 17, outputWords: 36, tileCount: 3, zeroPoint: 0, low: -128, high: 127,
 * }).encode(pass);
 */
export const matmulInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'matmul-int8',
  wgsl: [
    exactFloat,
    requantize,
    narrowWeights,
    packedWeights,
    epilogue,
    int8Buffers,
    pixelBlocks,
    registerTile,
    weightTile,
    source,
  ],
  bindings: conv2dInt8Bindings,
  params: {
    rowCount: 'u32',
    inputWords: 'u32',
    outputWords: 'u32',
    tileCount: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 16, allowed: [8, 16, 32, 64] } },
  constants: {
    TILE_PIXELS: ['4u', '8u', '16u'],
    TILE_VECTORS: ['1u', '2u', '4u'],
    OUTPUT: ['0u', '1u', '2u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  workgroups: ({ rowCount, tileCount }, { WORKGROUP_SIZE, TILE_PIXELS = 8 }) =>
    Math.ceil(rowCount / (TILE_PIXELS * WORKGROUP_SIZE)) * tileCount,
});
