import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import source from '../../shaders/sum-splits-int8.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';

/**
 * Adds a split int8 convolution's partial sums and does its epilogue; shapes in `shaders/sum-splits-int8.wgsl`.
 *
 * @example
 * const kernel = await kernels.sumSplitsInt8.create(device); // nine pixels of twelve channels, five splits
 * kernel.bind({ partial, bias, multipliers, output }, {
 *   splits: 5, pixelCount: 9, vectorCount: 8, outputWords: 3, pool: 0, zeroPoint: -5, low: -128, high: 127,
 * }).encode(pass);
 */
export const sumSplitsInt8Kernel = /* @__PURE__ */ defineKernel({
  name: 'sum-splits-int8',
  wgsl: [exactFloat, requantize, epilogue, source],
  bindings: {
    partial: { access: 'read', type: 'vec4i' },
    bias: { access: 'read', type: 'vec4i' },
    multipliers: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    splits: 'u32',
    pixelCount: 'u32',
    vectorCount: 'u32',
    outputWords: 'u32',
    pool: 'u32',
    zeroPoint: 'i32',
    low: 'i32',
    high: 'i32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { OUTPUT: ['0u', '1u', '2u'], REQUANTIZE: [] },
  check: checkWindow,
  workgroups: ({ pixelCount, vectorCount, pool }, { WORKGROUP_SIZE }) =>
    Math.ceil((Math.floor(pixelCount / (pool === 1 ? 4 : 1)) * vectorCount) / WORKGROUP_SIZE),
});
