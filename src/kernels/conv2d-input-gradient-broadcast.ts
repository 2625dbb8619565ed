import source from '../../shaders/conv2d-input-gradient-broadcast.wgsl?raw';
import broadcastQuads from '../../shaders/lib/broadcast-quads.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import gatherGradient from '../../shaders/lib/gather-gradient.wgsl?raw';
import inputGradient from '../../shaders/lib/input-gradient.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { conv2dInputGradientBindings, conv2dInputGradientParams } from './lib/params.ts';

/**
 * Input gradient whose subgroups load weights together; shapes in `shaders/conv2d-input-gradient-broadcast.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInputGradientBroadcast.create(device, { TILE_VECTORS: '4u' });
 * // 3x3 over two 5 x 5 images, eight channels to 20
 * kernel.bind({ gradient, weights, inputGradient }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1,
 *   inputChannels: 8, outputVectors: 5, pixelCount: 50,
 * }).encode(pass);
 */
export const conv2dInputGradientBroadcastKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-input-gradient-broadcast',
  wgsl: [
    broadcast,
    inputGradient,
    coveringWindow,
    pixelBlocks,
    registerTile,
    broadcastQuads,
    gatherGradient,
    source,
  ],
  bindings: conv2dInputGradientBindings,
  params: conv2dInputGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 8, allowed: [8, 32] } },
  constants: { LANES: ['4u', '8u'], TILE_PIXELS: ['4u'], TILE_VECTORS: ['4u', '8u'] },
  requires: ['subgroups'],
  check: checkWindowGradient,
  workgroups: ({ pixelCount, inputChannels }, { WORKGROUP_SIZE, TILE_PIXELS = 4, TILE_VECTORS = 8 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * Math.ceil(inputChannels / (4 * TILE_VECTORS)),
});
