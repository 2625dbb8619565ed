import frame from '../../shaders/lib/preprocess-image.wgsl?raw';
import source from '../../shaders/preprocess-image-texture.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { preprocessImageParams, preprocessImageTables } from './lib/params.ts';

/**
 * `preprocessImage` for a texture of rgba8unorm or bgra8unorm, such as `copyExternalImageToTexture` fills.
 *
 * @example
 * const kernel = await kernels.preprocessImageTexture.create(device); // a video's frame to 224 x 224, NHWC
 * kernel.bind({ source, spans, weights, values, output }, {
 *   width: 224, height: 224, sourceWidth: 640, channels: 3, reversed: 0, taps: 7, offset: 0,
 *   pixelStride: 3, channelStride: 1,
 * }).encode(pass);
 */
export const preprocessImageTextureKernel = /* @__PURE__ */ defineKernel({
  name: 'preprocess-image-texture',
  wgsl: [frame, source],
  bindings: /* @__PURE__ */ merged(
    { source: { access: 'read', type: 'texture_2d<f32>' } },
    preprocessImageTables,
  ),
  params: preprocessImageParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ width, height }, { WORKGROUP_SIZE }) => Math.ceil((width * height) / WORKGROUP_SIZE),
});
