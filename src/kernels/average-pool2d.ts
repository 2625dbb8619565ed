import source from '../../shaders/average-pool2d.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { u32s } from '../gpu/params.ts';
import { maxPool2dKernel } from './max-pool2d.ts';

const { bindings, params, overrides, check } = maxPool2dKernel.declaration;

/** Average pooling of f32 NHWC, channels padded to a multiple of 4; shapes in `shaders/average-pool2d.wgsl`. */
export const averagePool2dKernel = defineKernel({
  name: 'average-pool2d',
  wgsl: [poolWindow, source],
  bindings,
  params: { ...params, ...u32s('padBottom', 'padRight', 'includePad') },
  overrides,
  check,
  workgroups: ({ batch, outputHeight, outputWidth, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelVectors) / WORKGROUP_SIZE),
});
