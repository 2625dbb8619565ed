import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import halfFloat from '../../shaders/lib/half-float.wgsl?raw';
import source from '../../shaders/quantize-linear-onnx.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * ONNX QuantizeLinear, a word an element; see shaders/quantize-linear-onnx.wgsl.
 *
 * @example
 * const kernel = await kernels.quantizeLinearOnnx.create(device); // 480 floats to uint8 by one scale
 * kernel.bind({ input, scales, zeroPoints, output }, {
 *   count: 480, inners: 1, axisSize: 1, blockSize: 1, outerStride: 0, axisStride: 0, innerStride: 0, low: 0,
 *   high: 255,
 * }).encode(pass);
 */
export const quantizeLinearOnnx = /* @__PURE__ */ defineKernel({
  name: 'quantize-linear-onnx',
  wgsl: [exactFloat, halfFloat, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    scales: { access: 'read', type: 'u32' },
    zeroPoints: { access: 'read', type: 'i32' },
    output: { access: 'write', type: 'i32' },
  },
  params: {
    count: 'u32',
    inners: 'u32',
    axisSize: 'u32',
    blockSize: 'u32',
    outerStride: 'u32',
    axisStride: 'u32',
    innerStride: 'u32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { INPUT: ['0u', '1u'], PRECISION: ['0u', '1u'], OVERFLOW: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
