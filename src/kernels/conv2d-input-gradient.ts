import source from '../../shaders/conv2d-input-gradient.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import gatherGradient from '../../shaders/lib/gather-gradient.wgsl?raw';
import inputGradient from '../../shaders/lib/input-gradient.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { conv2dInputGradientBindings, conv2dInputGradientParams } from './lib/params.ts';

/**
 * Gradient of a convolution by its input; shapes in `shaders/conv2d-input-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dInputGradient.create(device); // 3x3 over two 5 x 5 images, eight channels to 20
 * kernel.bind({ gradient, weights, inputGradient }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1,
 *   inputChannels: 8, outputVectors: 5, pixelCount: 50,
 * }).encode(pass);
 */
export const conv2dInputGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-input-gradient',
  wgsl: [inputGradient, coveringWindow, pixelBlocks, registerTile, gatherGradient, source],
  bindings: conv2dInputGradientBindings,
  params: conv2dInputGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { TILE_PIXELS: ['4u', '8u', '16u'] },
  check: checkWindowGradient,
  workgroups: ({ pixelCount, inputChannels }, { WORKGROUP_SIZE, TILE_PIXELS = 16 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * Math.ceil(inputChannels / 8),
});
