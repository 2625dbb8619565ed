import source from '../../shaders/depthwise-input-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';

/** Gradient of a depthwise convolution by its input; shapes in `shaders/depthwise-input-gradient.wgsl`. */
export const depthwiseInputGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'depthwise-input-gradient',
  wgsl: [source],
  bindings: {
    gradient: { access: 'read', type: 'vec4f' },
    weights: { access: 'read', type: 'vec4f' },
    inputGradient: { access: 'write', type: 'vec4f' },
  },
  params: {
    inputHeight: 'u32',
    inputWidth: 'u32',
    outputHeight: 'u32',
    outputWidth: 'u32',
    vectors: 'u32',
    kernelHeight: 'u32',
    kernelWidth: 'u32',
    strideHeight: 'u32',
    strideWidth: 'u32',
    dilationHeight: 'u32',
    dilationWidth: 'u32',
    padTop: 'u32',
    padLeft: 'u32',
    pixelCount: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check: checkWindowGradient,
  workgroups: ({ pixelCount, vectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * vectors) / WORKGROUP_SIZE),
});
