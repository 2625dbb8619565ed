import source from '../../shaders/conv2d-int8.wgsl?raw';
import convParams from '../../shaders/lib/conv-int8-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import convRegisters from '../../shaders/lib/conv-registers.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrow from '../../shaders/lib/narrow-weights.wgsl?raw';
import packed from '../../shaders/lib/packed-weights.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import weightTile from '../../shaders/lib/weight-tile.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from './lib/params.ts';

/**
 * int8 convolution with bias, clamp, 2x2 max-pool and requantization fused; shapes in `shaders/conv2d-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInt8.create(device, { TILE_PIXELS: '4u', WORKGROUP_SIZE: 8 });
 * // 3x3 over two 5 x 5 images, 12 channels to 20, and a ReLU
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputWords: 3, outputWords: 5, groupWords: 3, groupTiles: 2, tileCount: 2, pool: 0, padWord: 0x80808080,
 *   zeroPoint: -5, low: -5, high: 127,
 * }).encode(pass);
 */
export const conv2dInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8',
  wgsl: /* @__PURE__ */ [
    [exactFloat, requantize, narrow, packed, epilogue, convParams],
    [int8Buffers, convPixel, pixelBlocks, registerTile, convRegisters, weightTile, source],
  ].flat(),
  bindings: conv2dInt8Bindings,
  params: conv2dInt8Params,
  overrides: { WORKGROUP_SIZE: { default: 16, allowed: [8, 16, 32, 64] } },
  constants: {
    TILE_PIXELS: ['4u', '8u', '16u'],
    TILE_VECTORS: ['1u', '2u', '4u'],
    OUTPUT: ['0u', '1u', '2u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE, TILE_PIXELS = 8 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * tileCount,
});
