import source from '../../shaders/conv2d-filter-gradient.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { conv2dFilterGradientBindings, conv2dFilterGradientParams } from './lib/params.ts';

/**
 * Gradient of a convolution by its weights, in split sums; shapes in `shaders/conv2d-filter-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dFilterGradient.create(device);
 * // 3x3 over two 5 x 5 images, eight channels to 20, pixels in splits of 64
 * kernel.bind({ input, gradient, partial }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, inputVectors: 2,
 *   outputVectors: 5, pixelCount: 50, chunk: 64,
 * }).encode(pass);
 */
export const conv2dFilterGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-filter-gradient',
  wgsl: [filterGradient, source],
  bindings: conv2dFilterGradientBindings,
  params: conv2dFilterGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [8, 16, 32, 64, 128, 256] } },
  check: checkWindowGradient,
  workgroups: (
    { kernelHeight, kernelWidth, inputVectors, outputVectors, pixelCount, chunk },
    { WORKGROUP_SIZE },
  ) =>
    Math.ceil((kernelHeight * kernelWidth * Math.ceil(inputVectors / 2)) / WORKGROUP_SIZE) *
    Math.ceil(outputVectors / 4) *
    2 *
    Math.ceil(pixelCount / chunk),
});
