import source from '../../shaders/add-int8.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { REQUANTIZE_VALUES } from './requantize.ts';

/**
 * Adds two quantized tensors and requantizes; see shaders/add-int8.wgsl.
 *
 * @example
 * const kernel = await kernels.addInt8.create(device); // 600 codes of scales 0.35 and 0.85 to one of 0.6
 * kernel.bind({ a, b, output }, {
 *   count: 600, aCount: 600, bCount: 600, aFlip: 128, bFlip: 128, aShift: 128, bShift: 128, aZero: 131,
 *   bZero: 121, zeroPoint: -5, low: -128, high: 127, aWord: 1051372203, aMore: 0, bWord: 1062557014, bMore: 0,
 *   yWord: 3190467232, yMore: 0,
 * }).encode(pass);
 */
export const addInt8 = /* @__PURE__ */ defineKernel({
  name: 'add-int8',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    a: { access: 'read', type: 'u32' },
    b: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    aCount: 'u32',
    bCount: 'u32',
    aFlip: 'u32',
    bFlip: 'u32',
    aShift: 'i32',
    bShift: 'i32',
    aZero: 'i32',
    bZero: 'i32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
    aWord: 'u32',
    aMore: 'u32',
    bWord: 'u32',
    bMore: 'u32',
    yWord: 'u32',
    yMore: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, ADD: ['0u', '1u', '2u', '3u'], PACKED: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE, PACKED = 1 }) =>
    Math.ceil(count / ((PACKED ? 4 : 1) * WORKGROUP_SIZE)),
});
