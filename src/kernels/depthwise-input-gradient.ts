import source from '../../shaders/depthwise-input-gradient.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import inputGradient from '../../shaders/lib/input-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dInputGradientBindings, conv2dInputGradientParams } from '../gpu/params.ts';
import { checkWindowGradient } from '../gpu/window.ts';

/** Gradient of a depthwise convolution by its input; shapes in `shaders/depthwise-input-gradient.wgsl`. */
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
