import source from '../../shaders/average-pool2d.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';

/**
 * Average pooling of f32 NHWC, channels padded to a multiple of 4; shapes in `shaders/average-pool2d.wgsl`.
 *
 * @example
 * const kernel = await kernels.averagePool2d.create(device); // 2x2 over a 2 x 2 image of 512 channels
 * kernel.bind({ input, output }, {
 *   batch: 1, height: 2, width: 2, channelVectors: 128, outputHeight: 1, outputWidth: 1, kernelHeight: 2,
 *   kernelWidth: 2, strideHeight: 2, strideWidth: 2, dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0,
 *   padBottom: 0, padRight: 0, includePad: 0,
 * }).encode(pass);
 */
export const averagePool2dKernel = /* @__PURE__ */ defineKernel({
  name: 'average-pool2d',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: {
    batch: 'u32',
    height: 'u32',
    width: 'u32',
    channelVectors: 'u32',
    outputHeight: 'u32',
    outputWidth: 'u32',
    kernelHeight: 'u32',
    kernelWidth: 'u32',
    strideHeight: 'u32',
    strideWidth: 'u32',
    dilationHeight: 'u32',
    dilationWidth: 'u32',
    padTop: 'u32',
    padLeft: 'u32',
    padBottom: 'u32',
    padRight: 'u32',
    includePad: 'u32',
  },
  overrides: {
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelVectors) / WORKGROUP_SIZE),
});
