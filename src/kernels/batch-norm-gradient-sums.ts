import source from '../../shaders/batch-norm-gradient-sums.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Gradients of gamma and beta, in split sums; shapes in `shaders/batch-norm-gradient-sums.wgsl`.
 *
 * @example
 * const kernel = await kernels.batchNormGradientSums.create(device);
 * // 72 pixels of eight channels in splits of 16, behind a ReLU
 * kernel.bind({ input, gradient, statistics, affine, partial }, {
 *   pixelCount: 72, vectors: 2, chunk: 16, low: 0, high: 3.4e38,
 * }).encode(pass);
 */
export const batchNormGradientSumsKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm-gradient-sums',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    gradient: { access: 'read', type: 'vec4f' },
    statistics: { access: 'read', type: 'vec4f' },
    affine: { access: 'read', type: 'vec4f' },
    partial: { access: 'write', type: 'vec4f' },
  },
  params: {
    pixelCount: 'u32',
    vectors: 'u32',
    chunk: 'u32',
    low: 'f32',
    high: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ pixelCount, vectors, chunk }, { WORKGROUP_SIZE }) =>
    Math.ceil((vectors * Math.ceil(pixelCount / chunk)) / WORKGROUP_SIZE),
});
