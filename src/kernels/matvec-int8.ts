import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import packedWeights from '../../shaders/lib/packed-weights.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import source from '../../shaders/matvec-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dInt8Bindings } from './lib/params.ts';

/**
 * int8 products of a few rows with a matrix, epilogue fused; shapes in `shaders/matvec-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.matvecInt8.create(device, { SPLIT: '1u' }); // a row of 600 by 600 x 36, in two splits
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   inputWords: 150, outputWords: 9, pixelCount: 1, tileCount: 1, splits: 2, zeroPoint: -5, low: -128, high: 127,
 * }).encode(pass);
 */
export const matvecInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'matvec-int8',
  wgsl: [exactFloat, requantize, narrowWeights, packedWeights, epilogue, int8Buffers, source],
  bindings: conv2dInt8Bindings,
  params: {
    inputWords: 'u32',
    outputWords: 'u32',
    pixelCount: 'u32',
    tileCount: 'u32',
    splits: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
  constants: {
    TILE_VECTORS: ['1u', '2u', '4u', '8u', '16u', '32u'],
    WORKGROUP_SIZE: ['64u', '128u', '256u'],
    OUTPUT: ['0u', '1u', '2u'],
    SPLIT: ['0u', '1u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  workgroups: ({ pixelCount, tileCount, splits }) => tileCount * pixelCount * splits,
});
