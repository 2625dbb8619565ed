import elementNan from '../../shaders/lib/element-nan.wgsl?raw';
import source from '../../shaders/reduce.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** Names of `override OP` in shaders/reduce.wgsl. */
export const REDUCTIONS = {
  ...{ sum: 0, mean: 1, max: 2, min: 3, prod: 4, l1: 5, sumSquare: 6, argMax: 8, argMin: 9 },
} as const;

/**
 * Reduces any axes; see shaders/reduce.wgsl.
 *
 * @example
 * const kernel = await kernels.reduce.create(device, { OP: 1 }); // twelve sums of 25 floats
 * kernel.bind({ input, axes, output }, {
 *   outputs: 12, reduced: 25, keptRank: 1, reducedRank: 1, identity: 0,
 * }).encode(pass);
 */
export const reduce = /* @__PURE__ */ defineKernel({
  name: 'reduce',
  wgsl: [elementNan, source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    axes: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'u32' },
  },
  params: { outputs: 'u32', reduced: 'u32', keptRank: 'u32', reducedRank: 'u32', identity: 'u32' },
  overrides: {
    OP: { default: 0, allowed: /* @__PURE__ */ Object.values(REDUCTIONS) },
    IS_FLOAT: { default: 1, allowed: [0, 1] },
    LAST: { default: 0, allowed: [0, 1] },
    LANES: { default: 1, allowed: [1, 64] },
    WORKGROUP_SIZE: { default: 64, allowed: [64, 128, 256] },
  },
  constants: { Element: ['f32', 'i32', 'u32'] },
  workgroups: ({ outputs }, { LANES, WORKGROUP_SIZE }) => Math.ceil((outputs * LANES) / WORKGROUP_SIZE),
});
