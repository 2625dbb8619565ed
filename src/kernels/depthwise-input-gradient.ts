import source from '../../shaders/depthwise-input-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';

/**
 * Gradient of a depthwise convolution by its input; shapes in `shaders/depthwise-input-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.depthwiseInputGradient.create(device); // 3x3 over two 5 x 5 images of 20 channels
 * kernel.bind({ gradient, weights, inputGradient }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, vectors: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 * }).encode(pass);
 */
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
