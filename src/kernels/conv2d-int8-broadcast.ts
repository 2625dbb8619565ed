import source from '../../shaders/conv2d-int8-broadcast.wgsl?raw';
import broadcastTile from '../../shaders/lib/broadcast-tile.wgsl?raw';
import convParams from '../../shaders/lib/conv-int8-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import convRegisters from '../../shaders/lib/conv-registers.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import packedWeights from '../../shaders/lib/packed-weights.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from './lib/params.ts';

/**
 * int8 convolution whose subgroups load weights together, epilogue fused; shapes in
 * `shaders/conv2d-int8-broadcast.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInt8Broadcast.create(device, { TILE_PIXELS: '4u' });
 * // 3x3 over an 8 x 8 image, 256 channels to 512
 * kernel.bind({ input, weights, bias, multipliers, output }, {
 *   inputHeight: 8, inputWidth: 8, outputHeight: 8, outputWidth: 8, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 64,
 *   inputWords: 64, outputWords: 128, groupWords: 64, groupTiles: 16, tileCount: 16, pool: 0, padWord: 0x80808080,
 *   zeroPoint: -128, low: -128, high: 127,
 * }).encode(pass);
 */
export const conv2dInt8BroadcastKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8-broadcast',
  wgsl: /* @__PURE__ */ [
    [broadcast, exactFloat, requantize, narrowWeights, packedWeights, epilogue, convParams],
    [int8Buffers, convPixel, pixelBlocks, registerTile, convRegisters, broadcastTile, source],
  ].flat(),
  bindings: /* @__PURE__ */ merged(conv2dInt8Bindings, { input: { access: 'read', type: 'vec4u' } }),
  params: conv2dInt8Params,
  overrides: { WORKGROUP_SIZE: { default: 16, allowed: [8, 16, 32, 64] } },
  constants: {
    LANES: ['4u', '8u'],
    TILE_PIXELS: ['4u', '8u'],
    TILE_VECTORS: ['4u', '8u'],
    OUTPUT: ['0u', '1u', '2u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  requires: ['subgroups'],
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE, TILE_PIXELS = 8 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * tileCount,
});
