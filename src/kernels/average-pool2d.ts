import source from '../../shaders/average-pool2d.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { maxPool2dBindings, maxPool2dOverrides, maxPool2dParams, u32s } from './lib/params.ts';

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
  wgsl: [poolWindow, source],
  bindings: maxPool2dBindings,
  params: /* @__PURE__ */ merged(
    maxPool2dParams,
    /* @__PURE__ */ u32s('padBottom', 'padRight', 'includePad'),
  ),
  overrides: maxPool2dOverrides,
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelVectors) / WORKGROUP_SIZE),
});
