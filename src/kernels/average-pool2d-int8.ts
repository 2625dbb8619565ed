import source from '../../shaders/average-pool2d-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';

/**
 * Average pooling of packed NHWC 8-bit codes, in integers, half to even or truncated;
 * `shaders/average-pool2d-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.averagePool2dInt8.create(device);
 * // 2x2 over a 2 x 2 image of 512 channels; halves to even
 * kernel.bind({ input, output }, {
 *   batch: 1, height: 2, width: 2, channelWords: 128, outputHeight: 1, outputWidth: 1, kernelHeight: 2,
 *   kernelWidth: 2, strideHeight: 2, strideWidth: 2, dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0,
 *   padBottom: 0, padRight: 0, includePad: 0, zeroPoint: -128,
 * }).encode(pass);
 */
export const averagePool2dInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'average-pool2d-int8',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    batch: 'u32',
    height: 'u32',
    width: 'u32',
    channelWords: 'u32',
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
    zeroPoint: 'i32',
  },
  overrides: {
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
    SIGNED: { default: 1, allowed: [0, 1] },
    ROUNDING: { default: 0, allowed: [0, 1] },
  },
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelWords }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelWords) / WORKGROUP_SIZE),
});
