import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import requantizeRules from '../../shaders/lib/requantize.wgsl?raw';
import source from '../../shaders/requantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** Right-hand sides of `const REQUANTIZE`: which branch of shaders/lib/requantize.wgsl a kernel compiles. */
export const REQUANTIZE_VALUES = ['0u', '1u', '2u', '3u', '4u', '5u', '6u', '7u'] as const;

/**
 * Int32 accumulators to codes, one multiplier a channel; see shaders/requantize.wgsl.
 *
 * @example
 * const kernel = await kernels.requantize.create(device, { PACKED: '1u' }); // 1,111 accumulators of 256 channels
 * kernel.bind({ accumulators, multipliers, codes }, {
 *   count: 1111, channels: 256, channelStride: 1, zeroPoint: -5, low: -128, high: 127,
 * }).encode(pass);
 */
export const requantize = /* @__PURE__ */ defineKernel({
  name: 'requantize',
  wgsl: [exactFloat, requantizeRules, source],
  bindings: {
    accumulators: { access: 'read', type: 'i32' },
    multipliers: { access: 'read', type: 'vec2u' },
    codes: { access: 'write', type: 'u32' },
  },
  params: {
    count: 'u32',
    channels: 'u32',
    channelStride: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { REQUANTIZE: REQUANTIZE_VALUES, PACKED: ['0u', '1u'] },
  workgroups: ({ count }, { WORKGROUP_SIZE, PACKED }) =>
    Math.ceil(count / ((PACKED ? 4 : 1) * WORKGROUP_SIZE)),
});
