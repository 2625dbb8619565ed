import int8Lanes from '../../shaders/lib/int8-lanes.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import source from '../../shaders/max-pool2d-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { maxPool2dInt8Bindings, maxPool2dInt8Overrides, maxPool2dInt8Params } from './lib/params.ts';

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
  wgsl: [int8Lanes, poolWindow, source],
  bindings: maxPool2dInt8Bindings,
  params: maxPool2dInt8Params,
  overrides: maxPool2dInt8Overrides,
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelWords }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelWords) / WORKGROUP_SIZE),
});
