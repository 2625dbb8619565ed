import source from '../../shaders/grid-sample.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Samples images and volumes by a grid; see shaders/grid-sample.wgsl.
 *
 * @example
 * const kernel = await kernels.gridSample.create(device); // 25 places of two 5 x 5 images of six channels, bilinear
 * kernel.bind({ input, grid, output }, {
 *   count: 300, channels: 6, depth: 1, height: 5, width: 5, places: 25,
 * }).encode(pass);
 */
export const gridSample = /* @__PURE__ */ defineKernel({
  name: 'grid-sample',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    grid: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: { count: 'u32', channels: 'u32', depth: 'u32', height: 'u32', width: 'u32', places: 'u32' },
  overrides: {
    MODE: { default: 0, allowed: [0, 1, 2] },
    PADDING: { default: 0, allowed: [0, 1, 2] },
    ALIGN: { default: 0, allowed: [0, 1] },
    RANK: { default: 2, allowed: [2, 3] },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
