import elementNan from '../../shaders/lib/element-nan.wgsl?raw';
import source from '../../shaders/scatter.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** Names of `override OP` in shaders/scatter.wgsl. */
export const SCATTER_OPERATIONS = { none: 0, add: 1, mul: 2, max: 3, min: 4 } as const;

/**
 * Brings updates to computed places; see shaders/scatter.wgsl.
 *
 * @example
 * const kernel = await kernels.scatter.create(device, { EACH: 1, IS_FLOAT: 0, Element: 'i32' });
 * // five rows of 60 int32
 * kernel.bind({ updates, places, output }, { rows: 5, columns: 60, inners: 1, splits: 5 }).encode(pass);
 */
export const scatter = /* @__PURE__ */ defineKernel({
  name: 'scatter',
  wgsl: [elementNan, source],
  bindings: {
    updates: { access: 'read', type: 'f32' },
    places: { access: 'read', type: 'i32' },
    output: { access: 'write', type: 'f32' },
  },
  params: { rows: 'u32', columns: 'u32', inners: 'u32', splits: 'u32' },
  overrides: {
    OP: { default: 0, allowed: /* @__PURE__ */ Object.values(SCATTER_OPERATIONS) },
    EACH: { default: 0, allowed: [0, 1] },
    IS_FLOAT: { default: 1, allowed: [0, 1] },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  constants: { Element: ['f32', 'i32', 'u32'] },
  workgroups: ({ columns, splits }, { WORKGROUP_SIZE }) => Math.ceil((columns * splits) / WORKGROUP_SIZE),
});
