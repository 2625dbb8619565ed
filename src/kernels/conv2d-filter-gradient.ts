import source from '../../shaders/conv2d-filter-gradient.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { u32s, WINDOW } from '../gpu/params.ts';
import { checkWindowGradient } from '../gpu/window.ts';

/** Gradient of a convolution by its weights, in split sums; shapes in `shaders/conv2d-filter-gradient.wgsl`. */
export const conv2dFilterGradientKernel = defineKernel({
  name: 'conv2d-filter-gradient',
  wgsl: [filterGradient, source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    gradient: { access: 'read', type: 'vec4f' },
    partial: { access: 'write', type: 'vec4f' },
  },
  params: {
    ...u32s('inputHeight', 'inputWidth', 'inputVectors', 'outputHeight', 'outputWidth', 'outputVectors'),
    ...WINDOW,
    ...u32s('pixelCount', 'chunk'),
  },
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
