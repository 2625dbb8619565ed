import source from '../../shaders/max-pool2d-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';

/**
 * Max pooling of packed NHWC 8-bit codes (4 channels a u32), exact; shapes in `shaders/max-pool2d-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.maxPool2dInt8.create(device); // 2x2 over two 6 x 6 images of 12 channels
 * kernel.bind({ input, output }, {
 *   batch: 2, height: 6, width: 6, channelWords: 3, outputHeight: 3, outputWidth: 3, kernelHeight: 2,
 *   kernelWidth: 2, strideHeight: 2, strideWidth: 2, dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0,
 * }).encode(pass);
 */
export const maxPool2dInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'max-pool2d-int8',
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
  },
  overrides: {
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
    SIGNED: { default: 1, allowed: [0, 1] },
  },
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelWords }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelWords) / WORKGROUP_SIZE),
});
