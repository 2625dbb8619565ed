import source from '../../shaders/augment-images.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Random crop with zero padding and flip of byte images, as floats; shapes in `shaders/augment-images.wgsl`.
 *
 * @example
 * const kernel = await kernels.augmentImages.create(device); // five 32 x 32 images of three channels
 * kernel.bind({ input, placements, output }, { batch: 5, height: 32, width: 32, channels: 3 }).encode(pass);
 */
export const augmentImagesKernel = /* @__PURE__ */ defineKernel({
  name: 'augment-images',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    placements: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: {
    batch: 'u32',
    height: 'u32',
    width: 'u32',
    channels: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ batch, height, width, channels }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * height * width * Math.ceil(channels / 4)) / WORKGROUP_SIZE),
});
