import floatMath from '../../shaders/lib/float-math.wgsl?raw';
import source from '../../shaders/softmax.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Softmax or its logarithm along an axis; see shaders/softmax.wgsl.
 *
 * @example
 * const kernel = await kernels.softmax.create(device); // 50 rows of six, 25 elements between neighbours
 * kernel.bind({ input, output }, { rows: 50, size: 6, inners: 25 }).encode(pass);
 */
export const softmax = /* @__PURE__ */ defineKernel({
  name: 'softmax',
  wgsl: [floatMath, source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: { rows: 'u32', size: 'u32', inners: 'u32' },
  overrides: {
    LOG: { default: 0, allowed: [0, 1] },
    LANES: { default: 1, allowed: [1, 64] },
    WORKGROUP_SIZE: { default: 64, allowed: [64, 128, 256] },
  },
  workgroups: ({ rows }, { LANES, WORKGROUP_SIZE }) => Math.ceil((rows * LANES) / WORKGROUP_SIZE),
});
