import source from '../../shaders/resample.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Weighted averages along an axis; see shaders/resample.wgsl.
 *
 * @example
 * const kernel = await kernels.resample.create(device); // an axis of five drawn to ten, of two neighbours each
 * kernel.bind({ input, places, weights, output }, {
 *   count: 600, size: 5, length: 10, inners: 1, taps: 2, outside: 0,
 * }).encode(pass);
 */
export const resample = /* @__PURE__ */ defineKernel({
  name: 'resample',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    places: { access: 'read', type: 'i32' },
    weights: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: { count: 'u32', size: 'u32', length: 'u32', inners: 'u32', taps: 'u32', outside: 'f32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
