import source from '../../shaders/depthwise-conv2d.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';

/** f32 convolution of each channel by its own filter; shapes in `shaders/depthwise-conv2d.wgsl`. */
export const depthwiseConv2dKernel = defineKernel({
  name: 'depthwise-conv2d',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    weights: { access: 'read', type: 'vec4f' },
    output: { access: 'write', type: 'vec4f' },
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
  check: checkWindow,
  workgroups: ({ pixelCount, vectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * vectors) / WORKGROUP_SIZE),
});
