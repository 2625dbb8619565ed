import source from '../../shaders/depthwise-filter-gradient.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { conv2dFilterGradientBindings, conv2dFilterGradientParams } from './lib/params.ts';

/**
 * Gradient of a depthwise convolution by its weights, in split sums; shapes in
 * `shaders/depthwise-filter-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.depthwiseFilterGradient.create(device);
 * // 3x3 over two 5 x 5 images of 20 channels, all pixels in one split
 * kernel.bind({ input, gradient, partial }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, inputVectors: 5, outputVectors: 5,
 *   kernelHeight: 3, kernelWidth: 3, strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1,
 *   padTop: 1, padLeft: 1, pixelCount: 50, chunk: 256,
 * }).encode(pass);
 */
export const depthwiseFilterGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'depthwise-filter-gradient',
  wgsl: [filterGradient, source],
  bindings: conv2dFilterGradientBindings,
  params: conv2dFilterGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check: checkWindowGradient,
  workgroups: ({ pixelCount, inputVectors, kernelHeight, kernelWidth, chunk }, { WORKGROUP_SIZE }) => {
    const items = Math.ceil(inputVectors / 4) * kernelHeight * kernelWidth * 4;
    return Math.ceil((items * Math.ceil(pixelCount / chunk)) / WORKGROUP_SIZE);
  },
});
