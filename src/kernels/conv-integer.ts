import source from '../../shaders/conv-integer.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { REQUANTIZE_VALUES } from './requantize.ts';

/** Convolution of bytes into int32 or requantized bytes, any attributes, NCHW; see shaders/conv-integer.wgsl. */
export const convInteger = defineKernel({
  name: 'conv-integer',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    weights: { access: 'read', type: 'u32' },
    weight_zeros: { access: 'read', type: 'i32' },
    bias: { access: 'read', type: 'i32' },
    multipliers: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    channels: 'u32',
    input_depth: 'u32',
    input_height: 'u32',
    input_width: 'u32',
    output_channels: 'u32',
    output_depth: 'u32',
    output_height: 'u32',
    output_width: 'u32',
    group_channels: 'u32',
    group_outputs: 'u32',
    kernel_depth: 'u32',
    kernel_height: 'u32',
    kernel_width: 'u32',
    stride_depth: 'u32',
    stride_height: 'u32',
    stride_width: 'u32',
    dilation_depth: 'u32',
    dilation_height: 'u32',
    dilation_width: 'u32',
    pad_depth: 'u32',
    pad_height: 'u32',
    pad_width: 'u32',
    input_flip: 'u32',
    weight_flip: 'u32',
    input_zero: 'i32',
    weight_zero_stride: 'u32',
    bias_stride: 'u32',
    multiplier_stride: 'u32',
    zero_point: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, OUTPUT: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE, OUTPUT }) => Math.ceil(count / ((OUTPUT ? 4 : 1) * WORKGROUP_SIZE)),
});
