import source from '../../shaders/depthwise-input-gradient.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import inputGradient from '../../shaders/lib/input-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dInputGradientKernel } from './conv2d-input-gradient.ts';

const { bindings, params, check } = conv2dInputGradientKernel.declaration;

/** Gradient of a depthwise convolution by its input; shapes in `shaders/depthwise-input-gradient.wgsl`. */
export const depthwiseInputGradientKernel = defineKernel({
  name: 'depthwise-input-gradient',
  wgsl: [inputGradient, coveringWindow, source],
  bindings,
  params,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check,
  workgroups: ({ pixelCount, outputVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * outputVectors) / WORKGROUP_SIZE),
});
