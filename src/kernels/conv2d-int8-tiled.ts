import source from '../../shaders/conv2d-int8-tiled.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import packedWeights from '../../shaders/lib/packed-weights.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import stagedTile from '../../shaders/lib/staged-tile.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from './lib/params.ts';

/**
 * int8 convolution and matrix product for GPUs, staged in workgroup memory; shapes in
 * `shaders/conv2d-int8-tiled.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInt8Tiled.create(device, {
 *   TILE_PIXELS: '16u', THREAD_PIXELS: '4u', THREAD_VECTORS: '1u',
 * }); // 3x3 over two 5 x 5 images, 12 channels to 20, and a ReLU
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputWords: 3, outputWords: 5, groupWords: 3, groupTiles: 1, tileCount: 1, pool: 0, padWord: 0x80808080,
 *   zeroPoint: -5, low: -5, high: 127, splits: 1,
 * }).encode(pass);
 */
export const conv2dInt8TiledKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8-tiled',
  wgsl: /* @__PURE__ */ [
    [exactFloat, requantize, narrowWeights, packedWeights],
    [epilogue, int8Buffers, convPixel, stagedTile, source],
  ].flat(),
  bindings: conv2dInt8Bindings,
  params: /* @__PURE__ */ merged(conv2dInt8Params, { splits: 'u32' }),
  constants: {
    TILE_PIXELS: ['16u', '32u', '64u', '128u'],
    TILE_VECTORS: ['8u', '16u', '32u'],
    TILE_WORDS: ['8u', '16u', '32u'],
    THREAD_PIXELS: ['4u', '8u'],
    THREAD_VECTORS: ['1u', '2u'],
    WORD_RUN: ['1u', '2u', '4u'],
    BUFFERS: ['1u', '2u'],
    OUTPUT: ['0u', '1u', '2u'],
    SPLIT: ['0u', '1u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount, splits }, { TILE_PIXELS = 64 }) =>
    Math.ceil(pixelCount / TILE_PIXELS) * tileCount * splits,
});
