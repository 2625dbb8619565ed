import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import source from '../../shaders/max-pool2d.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { maxPool2dBindings, maxPool2dOverrides, maxPool2dParams } from './lib/params.ts';

/**
 * Max pooling of f32 NHWC, channels padded to a multiple of 4; shapes in `shaders/max-pool2d.wgsl`.
 *
 * @example
 * const kernel = await kernels.maxPool2d.create(device); // 2x2 over two 6 x 6 images of 12 channels
 * kernel.bind({ input, output }, {
 *   batch: 2, height: 6, width: 6, outputHeight: 3, outputWidth: 3, kernelHeight: 2, kernelWidth: 2,
 *   strideHeight: 2, strideWidth: 2, padTop: 0, padLeft: 0, dilationHeight: 1, dilationWidth: 1,
 *   channelVectors: 3,
 * }).encode(pass);
 */
export const maxPool2dKernel = /* @__PURE__ */ defineKernel({
  name: 'max-pool2d',
  wgsl: [keepNan, poolWindow, source],
  bindings: maxPool2dBindings,
  params: maxPool2dParams,
  overrides: maxPool2dOverrides,
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelVectors) / WORKGROUP_SIZE),
});
