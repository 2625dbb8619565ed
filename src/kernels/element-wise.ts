import source from '../../shaders/element-wise.wgsl?raw';
import floatMath from '../../shaders/lib/float-math.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** Names of `override OP` in shaders/element-wise.wgsl. */
export const FLOAT_OPERATIONS = {
  ...{ identity: 0, relu: 1, leakyRelu: 2, sigmoid: 3, hardSigmoid: 4, hardSwish: 5, tanh: 6, erf: 7 },
  ...{ gelu: 8, geluTanh: 9, elu: 10, selu: 11, celu: 12, softplus: 13, softsign: 14, mish: 15 },
  ...{ thresholdedRelu: 16, exp: 17, log: 18, sqrt: 19, abs: 20, neg: 21, reciprocal: 22, floor: 23 },
  ...{ ceil: 24, round: 25, sign: 26, sin: 27, cos: 28, swish: 29, atan: 30 },
  ...{ tan: 31, asin: 32, acos: 33, sinh: 34, cosh: 35, asinh: 36, acosh: 37, atanh: 38, shrink: 39 },
  ...{ add: 40, sub: 41, mul: 42, div: 43, min: 44, max: 45, pow: 46, prelu: 47, fmod: 48, clip: 50 },
  ...{ equal: 60, less: 61, lessOrEqual: 62, greater: 63, greaterOrEqual: 64 },
  ...{ isNaN: 65, toBool: 66, toInt: 67, toUint: 68, isInf: 70 },
} as const;

/**
 * A function of f32 tensors with broadcasting; see shaders/element-wise.wgsl.
 *
 * @example
 * const kernel = await kernels.elementWise.create(device, { OP: 42 }); // b, 2 x 3, is added to a, 50 x 2 x 3
 * kernel.bind({ a, b, c, axes, output }, { count: 300, rank: 3, p: 0, q: 0 }).encode(pass);
 */
export const elementWise = /* @__PURE__ */ defineKernel({
  name: 'element-wise',
  wgsl: [floatMath, source],
  bindings: {
    a: { access: 'read', type: 'f32' },
    b: { access: 'read', type: 'f32' },
    c: { access: 'read', type: 'f32' },
    axes: { access: 'read', type: 'vec4u' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', rank: 'u32', p: 'f32', q: 'f32' },
  overrides: {
    OP: { default: 0, allowed: /* @__PURE__ */ Object.values(FLOAT_OPERATIONS) },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
