import source from '../../shaders/concat-int8.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { REQUANTIZE_VALUES } from './requantize.ts';

/** Concatenates quantized tensors along an axis at one output scale; see shaders/concat-int8.wgsl. */
export const concatInt8 = defineKernel({
  name: 'concat-int8',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    segments: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', row: 'u32', yScale: 'f32', zeroPoint: 'i32', low: 'i32', high: 'i32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, RESCALE: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / (4 * WORKGROUP_SIZE)),
});
