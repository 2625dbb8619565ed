import source from '../../shaders/load-image.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Interleaved pixels to padded NHWC activations, int8 or f32; formats in `shaders/load-image.wgsl`.
 *
 * @example
 * const kernel = await kernels.loadImage.create(device); // 50 pixels of twelve channels, bytes to int8
 * kernel.bind({ input, output }, { pixelCount: 50, channels: 12, vectors: 3 }).encode(pass);
 */
export const loadImageKernel = /* @__PURE__ */ defineKernel({
  name: 'load-image',
  wgsl: [source],
  bindings: { input: { access: 'read', type: 'u32' }, output: { access: 'write', type: 'u32' } },
  params: { pixelCount: 'u32', channels: 'u32', vectors: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { FORMAT: ['0u', '1u', '2u'] },
  workgroups: ({ pixelCount, vectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * vectors) / WORKGROUP_SIZE),
});
