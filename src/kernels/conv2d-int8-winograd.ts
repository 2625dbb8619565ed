import source from '../../shaders/conv2d-int8-winograd.wgsl?raw';
import convParams from '../../shaders/lib/conv-int8-params.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import texels from '../../shaders/lib/texels.wgsl?raw';
import block from '../../shaders/lib/winograd-block.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel, TEXELS } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from './lib/params.ts';

/**
 * int8 convolution by Winograd's F(2, 3) in exact integers, epilogue fused; geometries and shapes in
 * `shaders/conv2d-int8-winograd.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInt8Winograd.create(device, { WORKGROUP_SIZE: 8 });
 * // 3x3 over a 16 x 16 image, 128 channels to 256
 * const buffers = { input, weights, bias, multipliers, output }; // copied into textures on the way
 * recordCalls(encoder, [kernel.bind(buffers, {
 *   inputHeight: 16, inputWidth: 16, outputHeight: 16, outputWidth: 16, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 256,
 *   inputWords: 32, outputWords: 64, groupWords: 32, groupTiles: 8, tileCount: 8, pool: 0, padWord: 0x80808080,
 *   zeroPoint: -128, low: -128, high: 127,
 * })]);
 */
export const conv2dInt8WinogradKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8-winograd',
  wgsl: [broadcast, exactFloat, requantize, narrowWeights, texels, epilogue, convParams, block, source],
  bindings: /* @__PURE__ */ merged(conv2dInt8Bindings, {
    input: { access: 'read', type: TEXELS },
    weights: { access: 'read', type: TEXELS },
  }),
  params: conv2dInt8Params,
  overrides: { WORKGROUP_SIZE: { default: 16, allowed: [8, 16, 32, 64] } },
  constants: {
    LANES: ['4u', '8u'],
    TILE_VECTORS: ['4u', '8u'],
    OUTPUT: ['0u', '1u', '2u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  requires: ['subgroups'],
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE }) =>
    Math.ceil(pixelCount / (8 * WORKGROUP_SIZE)) * tileCount,
});
