import source from '../../shaders/dequantize-linear-onnx.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * ONNX DequantizeLinear, a word an element; see shaders/dequantize-linear-onnx.wgsl.
 *
 * @example
 * const kernel = await kernels.dequantizeLinearOnnx.create(device); // five rows of 96, a scale for 32 elements
 * kernel.bind({ input, scales, zeroPoints, output }, {
 *   count: 480, inners: 1, axisSize: 96, blockSize: 32, outerStride: 3, axisStride: 1, innerStride: 1,
 * }).encode(pass);
 */
export const dequantizeLinearOnnx = /* @__PURE__ */ defineKernel({
  name: 'dequantize-linear-onnx',
  wgsl: [exactFloat, source],
  bindings: {
    input: { access: 'read', type: 'i32' },
    scales: { access: 'read', type: 'u32' },
    zeroPoints: { access: 'read', type: 'i32' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    inners: 'u32',
    axisSize: 'u32',
    blockSize: 'u32',
    outerStride: 'u32',
    axisStride: 'u32',
    innerStride: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
