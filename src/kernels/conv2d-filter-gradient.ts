import source from '../../shaders/conv2d-filter-gradient.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dFilterGradientBindings, conv2dFilterGradientParams } from '../gpu/params.ts';
import { checkWindowGradient } from '../gpu/window.ts';

/** Gradient of a convolution by its weights, in split sums; shapes in `shaders/conv2d-filter-gradient.wgsl`. */
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
