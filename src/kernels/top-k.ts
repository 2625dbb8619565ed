import elementNan from '../../shaders/lib/element-nan.wgsl?raw';
import source from '../../shaders/top-k.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * The largest or smallest elements of rows; see shaders/top-k.wgsl.
 *
 * @example
 * const kernel = await kernels.topK.create(device); // the largest four of each of 60 rows of five
 * kernel.bind({ input, values, indices }, { rows: 60, size: 5, inners: 1, k: 4 }).encode(pass);
 */
export const topK = /* @__PURE__ */ defineKernel({
  name: 'top-k',
  wgsl: [elementNan, source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    values: { access: 'write', type: 'f32' },
    indices: { access: 'write', type: 'i32' },
  },
  params: { rows: 'u32', size: 'u32', inners: 'u32', k: 'u32' },
  overrides: {
    IS_FLOAT: { default: 1, allowed: [0, 1] },
    LARGEST: { default: 1, allowed: [0, 1] },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  constants: { Element: ['f32', 'i32', 'u32'] },
  workgroups: ({ rows, size }, { WORKGROUP_SIZE }) => Math.ceil((rows * size) / WORKGROUP_SIZE),
});
