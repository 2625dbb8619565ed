import source from '../../shaders/dequantize-linear.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Packed 8, 4 or 2-bit codes to f32: `(code - zeroPoint) * scale`, bit for bit on every adapter. Element i uses
 * `scale[(i / axisStride) % axisSize]`; layouts in `shaders/dequantize-linear.wgsl`.
 *
 * @example
 * const dequantize = await kernels.dequantizeLinear.create(device, { BITS: 4 });
 * dequantize.bind({ input, scale, zeroPoint, output }, { count, axisSize: 1, axisStride: count }).encode(pass);
 */
export const dequantizeLinearKernel = /* @__PURE__ */ defineKernel({
  name: 'dequantize-linear',
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
    SIGNED: { default: 1, allowed: [0, 1] },
  },
  workgroups: ({ count }, { BITS, WORKGROUP_SIZE }) => Math.ceil(count / (32 / BITS) / WORKGROUP_SIZE),
});
