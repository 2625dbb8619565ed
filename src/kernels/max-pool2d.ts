import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import source from '../../shaders/max-pool2d.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { u32s, WINDOW } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** Max pooling of f32 NHWC, channels padded to a multiple of 4; shapes in `shaders/max-pool2d.wgsl`. */
export const maxPool2dKernel = defineKernel({
  name: 'max-pool2d',
  wgsl: [keepNan, poolWindow, source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: {
    ...u32s('batch', 'height', 'width', 'channelVectors', 'outputHeight', 'outputWidth'),
    ...WINDOW,
  },
  overrides: {
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelVectors) / WORKGROUP_SIZE),
});
