import source from '../../shaders/depthwise-input-gradient.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import inputGradient from '../../shaders/lib/input-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { conv2dInputGradientBindings, conv2dInputGradientParams } from './lib/params.ts';

/**
 * Gradient of a depthwise convolution by its input; shapes in `shaders/depthwise-input-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.depthwiseInputGradient.create(device); // 3x3 over two 5 x 5 images of 20 channels
 * kernel.bind({ gradient, weights, inputGradient }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, inputChannels: 20, outputVectors: 5,
 *   kernelHeight: 3, kernelWidth: 3, strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1,
 *   padTop: 1, padLeft: 1, pixelCount: 50,
 * }).encode(pass);
 */
export const depthwiseInputGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'depthwise-input-gradient',
  wgsl: [inputGradient, coveringWindow, source],
  bindings: conv2dInputGradientBindings,
  params: conv2dInputGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check: checkWindowGradient,
  workgroups: ({ pixelCount, outputVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * outputVectors) / WORKGROUP_SIZE),
});
