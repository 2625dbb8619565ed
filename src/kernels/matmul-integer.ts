import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import source from '../../shaders/matmul-integer.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { REQUANTIZE_VALUES } from './requantize.ts';

/** Matrix products of bytes into int32 or requantized bytes, batched; see shaders/matmul-integer.wgsl. */
export const matmulInteger = defineKernel({
  name: 'matmul-integer',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    a: { access: 'read', type: 'u32' },
    b: { access: 'read', type: 'u32' },
    pairs: { access: 'read', type: 'vec2u' },
    a_zeros: { access: 'read', type: 'i32' },
    b_zeros: { access: 'read', type: 'i32' },
    multipliers: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    M: 'u32',
    N: 'u32',
    K: 'u32',
    a_flip: 'u32',
    b_flip: 'u32',
    a_zero_matrix_stride: 'u32',
    a_zero_row_stride: 'u32',
    b_zero_matrix_stride: 'u32',
    b_zero_column_stride: 'u32',
    multiplier_matrix_stride: 'u32',
    multiplier_row_stride: 'u32',
    multiplier_column_stride: 'u32',
    zero_point: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, OUTPUT: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE, OUTPUT }) => Math.ceil(count / ((OUTPUT ? 4 : 1) * WORKGROUP_SIZE)),
});
