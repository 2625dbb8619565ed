import int8Lanes from '../../shaders/lib/int8-lanes.wgsl?raw';
import poolWindow from '../../shaders/lib/pool-window.wgsl?raw';
import source from '../../shaders/max-pool2d-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { u32s, WINDOW } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** Max pooling of packed NHWC 8-bit codes (4 channels a u32), exact; shapes in `shaders/max-pool2d-int8.wgsl`. */
export const maxPool2dInt8Kernel = defineKernel({
  name: 'max-pool2d-int8',
  wgsl: [int8Lanes, poolWindow, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    ...u32s('batch', 'height', 'width', 'channelWords', 'outputHeight', 'outputWidth'),
    ...WINDOW,
  },
  overrides: {
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
    SIGNED: { default: 1, allowed: [0, 1] },
  },
  check: checkWindow,
  workgroups: ({ batch, outputHeight, outputWidth, channelWords }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * outputHeight * outputWidth * channelWords) / WORKGROUP_SIZE),
});
