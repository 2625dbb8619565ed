import source from '../../shaders/depthwise-filter-gradient.wgsl?raw';
import filterGradient from '../../shaders/lib/filter-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dFilterGradientKernel } from './conv2d-filter-gradient.ts';

const { bindings, params, check } = conv2dFilterGradientKernel.declaration;

/** Gradient of a depthwise convolution by its weights, in split sums; shapes in `shaders/depthwise-filter-gradient.wgsl`. */
export const depthwiseFilterGradientKernel = defineKernel({
  name: 'depthwise-filter-gradient',
  wgsl: [filterGradient, source],
  bindings,
  params,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check,
  workgroups: ({ pixelCount, inputVectors, kernelHeight, kernelWidth, chunk }, { WORKGROUP_SIZE }) => {
    const items = Math.ceil(inputVectors / 4) * kernelHeight * kernelWidth * 4;
    return Math.ceil((items * Math.ceil(pixelCount / chunk)) / WORKGROUP_SIZE);
  },
});
