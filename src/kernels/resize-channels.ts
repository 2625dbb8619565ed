import source from '../../shaders/resize-channels.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Rows of channels padded with zeros, or cut; shapes in `shaders/resize-channels.wgsl`.
 *
 * @example
 * const kernel = await kernels.resizeChannels.create(device); // 70 rows of three channels to four
 * kernel.bind({ input, output }, { rows: 70, inputChannels: 3, outputChannels: 4 }).encode(pass);
 */
export const resizeChannelsKernel = /* @__PURE__ */ defineKernel({
  name: 'resize-channels',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: { rows: 'u32', inputChannels: 'u32', outputChannels: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ rows, outputChannels }, { WORKGROUP_SIZE }) =>
    Math.ceil((rows * outputChannels) / WORKGROUP_SIZE),
});
