import frame from '../../shaders/lib/preprocess-image.wgsl?raw';
import source from '../../shaders/preprocess-image.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { preprocessImageParams, preprocessImageTables } from './lib/params.ts';

/**
 * A picture's RGBA bytes, cropped, resized and normalized into a network's input; tables in
 * `shaders/preprocess-image.wgsl`, which `preparePreprocessImage` makes.
 *
 * @example
 * const kernel = await kernels.preprocessImage.create(device); // 640 pixels a row to 224 x 224, NCHW
 * kernel.bind({ source, spans, weights, values, output }, {
 *   width: 224, height: 224, sourceWidth: 640, channels: 3, reversed: 0, taps: 7, offset: 0,
 *   pixelStride: 1, channelStride: 224 * 224,
 * }).encode(pass);
 */
export const preprocessImageKernel = /* @__PURE__ */ defineKernel({
  name: 'preprocess-image',
  wgsl: [frame, source],
  bindings: /* @__PURE__ */ merged({ source: { access: 'read', type: 'u32' } }, preprocessImageTables),
  params: preprocessImageParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ width, height }, { WORKGROUP_SIZE }) => Math.ceil((width * height) / WORKGROUP_SIZE),
});
