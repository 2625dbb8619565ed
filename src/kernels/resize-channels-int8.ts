import source from '../../shaders/resize-channels-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Rows of byte codes padded with zeros, or cut: int8 and uint8 alike; shapes in `shaders/resize-channels-int8.wgsl`.
 *
 * @example
 * const pad = await kernels.resizeChannelsInt8.create(device);
 * pad.bind({ input: rgb, output: rgbx }, { rows: height * width, inputChannels: 3, outputChannels: 4 }).encode(pass);
 */
export const resizeChannelsInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'resize-channels-int8',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { rows: 'u32', inputChannels: 'u32', outputChannels: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ rows, outputChannels }, { WORKGROUP_SIZE }) =>
    Math.ceil((rows * outputChannels) / 4 / WORKGROUP_SIZE),
});
