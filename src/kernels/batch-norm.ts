import source from '../../shaders/batch-norm.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Normalizes, scales, shifts and clamps each channel; shapes in `shaders/batch-norm.wgsl`.
 *
 * @example
 * const kernel = await kernels.batchNorm.create(device); // 72 pixels of eight channels, and a ReLU
 * kernel.bind({ input, statistics, affine, output }, {
 *   pixelCount: 72, vectors: 2, low: 0, high: 3.4e38,
 * }).encode(pass);
 */
export const batchNormKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    statistics: { access: 'read', type: 'vec4f' },
    affine: { access: 'read', type: 'vec4f' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: {
    pixelCount: 'u32',
    vectors: 'u32',
    low: 'f32',
    high: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ pixelCount, vectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * vectors) / WORKGROUP_SIZE),
});
