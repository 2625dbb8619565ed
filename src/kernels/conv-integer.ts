import source from '../../shaders/conv-integer.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { REQUANTIZE_VALUES } from './requantize.ts';

/** Convolution of bytes into int32 or requantized bytes, any attributes, NCHW; see shaders/conv-integer.wgsl. */
export const convInteger = defineKernel({
  name: 'conv-integer',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    weights: { access: 'read', type: 'u32' },
    weightZeros: { access: 'read', type: 'i32' },
    bias: { access: 'read', type: 'i32' },
    multipliers: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    channels: 'u32',
    inputDepth: 'u32',
    inputHeight: 'u32',
    inputWidth: 'u32',
    outputChannels: 'u32',
    outputDepth: 'u32',
    outputHeight: 'u32',
    outputWidth: 'u32',
    groupChannels: 'u32',
    groupOutputs: 'u32',
    kernelDepth: 'u32',
    kernelHeight: 'u32',
    kernelWidth: 'u32',
    strideDepth: 'u32',
    strideHeight: 'u32',
    strideWidth: 'u32',
    dilationDepth: 'u32',
    dilationHeight: 'u32',
    dilationWidth: 'u32',
    padDepth: 'u32',
    padHeight: 'u32',
    padWidth: 'u32',
    inputFlip: 'u32',
    weightFlip: 'u32',
    inputZero: 'i32',
    weightZeroStride: 'u32',
    biasStride: 'u32',
    multiplierStride: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, OUTPUT: ['0u', '1u'] },
  check: checkWindow,
  workgroups: ({ count }, { WORKGROUP_SIZE, OUTPUT }) =>
    Math.ceil(count / ((OUTPUT ? 4 : 1) * WORKGROUP_SIZE)),
});
