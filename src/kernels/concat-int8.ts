import source from '../../shaders/concat-int8.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { REQUANTIZE_VALUES } from './requantize.ts';

/**
 * Puts one quantized tensor in its place in a concatenation; see shaders/concat-int8.wgsl.
 *
 * @example
 * const kernel = await kernels.concatInt8.create(device); // 50 rows: 12 codes go to the front of rows of 24
 * kernel.bind({ input, output }, {
 *   rows: 50, inputStride: 12, outputWords: 6, flip: 128, zero: 131, zeroPoint: -5, low: -128, high: 127,
 *   scaleWord: 1017370378, yScaleWord: 1031127695, multiplier: 1051372203, multiplierMore: 0, start: 0,
 *   length: 12, words: 3,
 * }).encode(pass);
 */
export const concatInt8 = /* @__PURE__ */ defineKernel({
  name: 'concat-int8',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    rows: 'u32',
    words: 'u32',
    start: 'u32',
    length: 'u32',
    inputStride: 'u32',
    outputWords: 'u32',
    flip: 'u32',
    zero: 'i32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
    scaleWord: 'u32',
    yScaleWord: 'u32',
    multiplier: 'u32',
    multiplierMore: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, RESCALE: ['0u', '1u', '2u'], PACKED: ['0u', '1u'] },
  workgroups: ({ rows, words }, { WORKGROUP_SIZE }) => Math.ceil((rows * words) / WORKGROUP_SIZE),
});
