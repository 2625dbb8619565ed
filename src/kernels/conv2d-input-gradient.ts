import source from '../../shaders/conv2d-input-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';

export const conv2dInputGradientBindings = {
  gradient: { access: 'read', type: 'vec4f' },
  weights: { access: 'read', type: 'vec4f' },
  inputGradient: { access: 'write', type: 'vec4f' },
} as const;

export const conv2dInputGradientParams = {
  inputHeight: 'u32',
  inputWidth: 'u32',
  inputChannels: 'u32',
  outputHeight: 'u32',
  outputWidth: 'u32',
  outputVectors: 'u32',
  kernelHeight: 'u32',
  kernelWidth: 'u32',
  strideHeight: 'u32',
  strideWidth: 'u32',
  dilationHeight: 'u32',
  dilationWidth: 'u32',
  padTop: 'u32',
  padLeft: 'u32',
  pixelCount: 'u32',
} as const;

/** Gradient of a convolution by its input; shapes in `shaders/conv2d-input-gradient.wgsl`. */
export const conv2dInputGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-input-gradient',
  wgsl: [source],
  bindings: conv2dInputGradientBindings,
  params: conv2dInputGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { TILE_PIXELS: ['4u', '8u', '16u'] },
  check: checkWindowGradient,
  workgroups: ({ pixelCount, inputChannels }, { WORKGROUP_SIZE, TILE_PIXELS = 16 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * Math.ceil(inputChannels / 8),
});
