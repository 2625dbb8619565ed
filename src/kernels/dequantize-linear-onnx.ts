import source from '../../shaders/dequantize-linear-onnx.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import halfFloat from '../../shaders/lib/half-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** DequantizeLinear with blocks, 16- and 32-bit codes and float16; see shaders/dequantize-linear-onnx.wgsl. */
export const dequantizeLinearOnnx = defineKernel({
  name: 'dequantize-linear-onnx',
  wgsl: [exactFloat, halfFloat, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
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
  constants: { INPUT_BITS: ['8u', '16u', '32u'], SIGNED: ['0u', '1u'], OUTPUT: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE, OUTPUT }) =>
    Math.ceil(count / ((OUTPUT ? 2 : 1) * WORKGROUP_SIZE)),
});
