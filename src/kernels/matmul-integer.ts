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
    aZeros: { access: 'read', type: 'i32' },
    bZeros: { access: 'read', type: 'i32' },
    multipliers: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    M: 'u32',
    N: 'u32',
    K: 'u32',
    aFlip: 'u32',
    bFlip: 'u32',
    aZeroMatrixStride: 'u32',
    aZeroRowStride: 'u32',
    bZeroMatrixStride: 'u32',
    bZeroColumnStride: 'u32',
    multiplierMatrixStride: 'u32',
    multiplierRowStride: 'u32',
    multiplierColumnStride: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, OUTPUT: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE, OUTPUT }) =>
    Math.ceil(count / ((OUTPUT ? 4 : 1) * WORKGROUP_SIZE)),
});
