import source from '../../shaders/conv2d-filter-gradient-broadcast.wgsl?raw';
import broadcastQuads from '../../shaders/lib/broadcast-quads.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { conv2dFilterGradientBindings, conv2dFilterGradientParams } from './lib/params.ts';

/**
 * Filter gradient whose subgroups load gradients together; shapes in
 * `shaders/conv2d-filter-gradient-broadcast.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dFilterGradientBroadcast.create(device);
 * // 3x3 over two 5 x 5 images, eight channels to 20, pixels in splits of 64
 * kernel.bind({ input, gradient, partial }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, inputVectors: 2,
 *   outputVectors: 5, pixelCount: 50, chunk: 64,
 * }).encode(pass);
 */
export const conv2dFilterGradientBroadcastKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-filter-gradient-broadcast',
  wgsl: [broadcast, filterGradient, broadcastQuads, source],
  bindings: conv2dFilterGradientBindings,
  params: conv2dFilterGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 8, allowed: [8, 32] } },
  constants: { LANES: ['4u', '8u'], TILE_VECTORS: ['4u', '8u'] },
  requires: ['subgroups'],
  check: checkWindowGradient,
  workgroups: (
    { kernelHeight, kernelWidth, inputVectors, outputVectors, pixelCount, chunk },
    { WORKGROUP_SIZE, TILE_VECTORS = 8 },
  ) =>
    Math.ceil((kernelHeight * kernelWidth * inputVectors) / WORKGROUP_SIZE) *
    Math.ceil((Math.ceil(outputVectors / 4) * 4) / TILE_VECTORS) *
    Math.ceil(pixelCount / chunk),
});
