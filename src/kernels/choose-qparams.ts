import source from '../../shaders/choose-qparams.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Scale and zero point of each range, symmetric or asymmetric, the same bits on every adapter; formulas in
 * `shaders/choose-qparams.wgsl`.
 *
 * @example
 * const choose = await kernels.chooseQparams.create(device, { SYMMETRIC: 0, QUANT_MIN: 0, QUANT_MAX: 255 });
 * choose.bind({ minimum, maximum, scale, zeroPoint }, { count: 64 }).encode(pass);
 */
export const chooseQparamsKernel = /* @__PURE__ */ defineKernel({
  name: 'choose-qparams',
  wgsl: [exactFloat, source],
  bindings: {
    minimum: { access: 'read', type: 'u32' },
    maximum: { access: 'read', type: 'u32' },
    scale: { access: 'write', type: 'u32' },
    zeroPoint: { access: 'write', type: 'i32' },
  },
  params: { count: 'u32' },
  overrides: {
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
    QUANT_MIN: { default: -128 },
    QUANT_MAX: { default: 127 },
    SYMMETRIC: { default: 1, allowed: [0, 1] },
  },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
