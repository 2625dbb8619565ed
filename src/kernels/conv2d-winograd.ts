import source from '../../shaders/conv2d-winograd.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import texels from '../../shaders/lib/texels.wgsl?raw';
import block from '../../shaders/lib/winograd-block.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel, TEXELS } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dBindings } from './lib/params.ts';

/**
 * f32 convolution by Winograd's F(2, 3), epilogue fused; geometries and shapes in `shaders/conv2d-winograd.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dWinograd.create(device); // 3x3 over a 16 x 16 image, 32 channels to 64
 * const buffers = { input, weights, scale, shift, output }; // copied into textures on the way
 * recordCalls(encoder, [kernel.bind(buffers, {
 *   inputHeight: 16, inputWidth: 16, inputVectors: 8, outputHeight: 16, outputWidth: 16, outputVectors: 16,
 *   kernelHeight: 3, dilationHeight: 1, padTop: 1, padLeft: 1, groupVectors: 8, groupTiles: 2, tileCount: 2,
 *   imageCount: 1, pool: 0, low: 0, high: 6,
 * })]);
 */
export const conv2dWinogradKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-winograd',
  wgsl: [broadcast, keepNan, texels, block, source],
  bindings: /* @__PURE__ */ merged(conv2dBindings, {
    input: { access: 'read', type: TEXELS },
    weights: { access: 'read', type: TEXELS },
  }),
  params: {
    inputHeight: 'u32',
    inputWidth: 'u32',
    inputVectors: 'u32',
    outputHeight: 'u32',
    outputWidth: 'u32',
    outputVectors: 'u32',
    kernelHeight: 'u32',
    dilationHeight: 'u32',
    padTop: 'u32',
    padLeft: 'u32',
    groupVectors: 'u32',
    groupTiles: 'u32',
    imageCount: 'u32',
    tileCount: 'u32',
    pool: 'u32',
    low: 'f32',
    high: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 8, allowed: [8, 16, 32, 64] } },
  constants: { LANES: ['4u', '8u'], TILE_VECTORS: ['4u', '8u'] },
  requires: ['subgroups'],
  check: (name, params) =>
    checkWindow(name, { ...params, kernelWidth: 3, strideHeight: 1, strideWidth: 1, dilationWidth: 1 }),
  workgroups: ({ imageCount, outputHeight, outputWidth, tileCount }, { WORKGROUP_SIZE }) =>
    Math.ceil((imageCount * Math.ceil(outputHeight / 2) * Math.ceil(outputWidth / 4)) / WORKGROUP_SIZE) *
    tileCount,
});
