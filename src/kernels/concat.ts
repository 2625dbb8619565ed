import source from '../../shaders/concat.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Copies one f32 tensor into its channels of a concatenation; see shaders/concat.wgsl.
 *
 * @example
 * const kernel = await kernels.concat.create(device);
 * // 50 pixels: 11 channels, of 12 with their padding, go to the front of 18
 * kernel.bind({ input, output }, {
 *   pixels: 50, channels: 11, width: 11, start: 0, inputStride: 12, outputStride: 18, low: -3.4e38, high: 3.4e38,
 * }).encode(pass);
 */
export const concat = /* @__PURE__ */ defineKernel({
  name: 'concat',
  wgsl: [keepNan, source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: {
    pixels: 'u32',
    channels: 'u32',
    width: 'u32',
    start: 'u32',
    inputStride: 'u32',
    outputStride: 'u32',
    low: 'f32',
    high: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ pixels, width }, { WORKGROUP_SIZE }) => Math.ceil((pixels * width) / WORKGROUP_SIZE),
});
