import source from '../../shaders/average-pool2d-int8.wgsl?raw';
import int8Lanes from '../../shaders/lib/int8-lanes.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { maxPool2dInt8Bindings, maxPool2dInt8Overrides, maxPool2dInt8Params, u32s } from './lib/params.ts';

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
  wgsl: [int8Lanes, poolWindow, source],
  bindings: maxPool2dInt8Bindings,
  params: /* @__PURE__ */ merged(
    maxPool2dInt8Params,
    /* @__PURE__ */ u32s('padBottom', 'padRight', 'includePad'),
    { zeroPoint: 'i32' },
  ),
  overrides: /* @__PURE__ */ merged(maxPool2dInt8Overrides, { ROUNDING: { default: 0, allowed: [0, 1] } }),
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelWords }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelWords) / WORKGROUP_SIZE),
});
