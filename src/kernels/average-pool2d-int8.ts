import source from '../../shaders/average-pool2d-int8.wgsl?raw';
import int8Lanes from '../../shaders/lib/int8-lanes.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { u32s } from '../gpu/params.ts';
import { maxPool2dInt8Kernel } from './max-pool2d-int8.ts';

const { bindings, params, overrides, check } = maxPool2dInt8Kernel.declaration;

/** Average pooling of packed NHWC 8-bit codes, in integers, half to even or truncated; `shaders/average-pool2d-int8.wgsl`. */
export const averagePool2dInt8Kernel = defineKernel({
  name: 'average-pool2d-int8',
  wgsl: [int8Lanes, poolWindow, source],
  bindings,
  params: { ...params, ...u32s('padBottom', 'padRight', 'includePad'), zeroPoint: 'i32' },
  overrides: { ...overrides, ROUNDING: { default: 0, allowed: [0, 1] } },
  check,
  workgroups: ({ batch, outputHeight, outputWidth, channelWords }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelWords) / WORKGROUP_SIZE),
});
