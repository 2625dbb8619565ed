import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import source from '../../shaders/max-pool2d.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { maxPool2dBindings, maxPool2dOverrides, maxPool2dParams } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** Max pooling of f32 NHWC, channels padded to a multiple of 4; shapes in `shaders/max-pool2d.wgsl`. */
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
