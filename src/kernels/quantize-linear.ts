import source from '../../shaders/quantize-linear.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * f32 to packed 8, 4 or 2-bit codes, by ONNX QuantizeLinear's formula, bit for bit on every adapter. Element i uses
 * `scale[(i / axisStride) % axisSize]`; layouts in `shaders/quantize-linear.wgsl`.
 *
 * @example
 * const quantize = await kernels.quantizeLinear.create(device, { BITS: 4, QUANT_MIN: -8, QUANT_MAX: 7 });
 * const call = quantize.bind({ input, scale, zeroPoint, output }, { count: 512 * 2304, axisSize: 512, axisStride: 2304 });
 * call.encode(pass);
 */
export const quantizeLinearKernel = /* @__PURE__ */ defineKernel({
  name: 'quantize-linear',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    scale: { access: 'read', type: 'u32' },
    zeroPoint: { access: 'read', type: 'i32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', axisSize: 'u32', axisStride: 'u32' },
  overrides: {
    WORKGROUP_SIZE: { default: 256, allowed: [32, 64, 128, 256] },
    BITS: { default: 8, allowed: [2, 4, 8] },
    QUANT_MIN: { default: -128 },
    QUANT_MAX: { default: 127 },
  },
  workgroups: ({ count }, { BITS, WORKGROUP_SIZE }) => Math.ceil(count / (32 / BITS) / WORKGROUP_SIZE),
});
