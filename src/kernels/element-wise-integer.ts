import source from '../../shaders/element-wise-integer.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** Names of `override OP` in shaders/element-wise-integer.wgsl. */
export const INTEGER_OPERATIONS = {
  ...{ identity: 0, relu: 1, abs: 20, neg: 21, sign: 26, not: 30, bitwiseNot: 31 },
  ...{ add: 40, sub: 41, mul: 42, div: 43, min: 44, max: 45, pow: 46, prelu: 47, fmod: 48, mod: 49 },
  ...{ clip: 50, where: 51, and: 52, or: 53, xor: 54, shiftLeft: 55, shiftRight: 56 },
  ...{ equal: 60, less: 61, lessOrEqual: 62, greater: 63, greaterOrEqual: 64 },
  ...{ toBool: 66, toFloat: 69 },
} as const;

/**
 * A function of integer tensors with broadcasting; see shaders/element-wise-integer.wgsl.
 *
 * @example
 * const kernel = await kernels.elementWiseInteger.create(device, { OP: 41 });
 * // 99 int32 and one that is added to each
 * kernel.bind({ a, b, c, axes, output }, { count: 99, rank: 1, bits: 32, isSigned: 1 }).encode(pass);
 */
export const elementWiseInteger = /* @__PURE__ */ defineKernel({
  name: 'element-wise-integer',
  wgsl: [source],
  bindings: {
    a: { access: 'read', type: 'i32' },
    b: { access: 'read', type: 'i32' },
    c: { access: 'read', type: 'i32' },
    axes: { access: 'read', type: 'vec4u' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', rank: 'u32', bits: 'u32', isSigned: 'u32' },
  overrides: {
    OP: { default: 0, allowed: /* @__PURE__ */ Object.values(INTEGER_OPERATIONS) },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  constants: { Integer: ['i32', 'u32'] },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
