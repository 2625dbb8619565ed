import source from '../../shaders/batch-norm-merge.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

export const batchNormMergeBindings = {
  partial: { access: 'read', type: 'vec4f' },
  statistics: { access: 'write', type: 'vec4f' },
  running: { access: 'write', type: 'vec4f' },
} as const;

export const batchNormMergeParams = {
  pixelCount: 'u32',
  vectors: 'u32',
  chunk: 'u32',
  epsilon: 'f32',
  momentum: 'f32',
} as const;

/**
 * Joins the splits of batch-norm-statistics and moves the running statistics; shapes in
 * `shaders/batch-norm-merge.wgsl`.
 *
 * @example
 * const kernel = await kernels.batchNormMerge.create(device); // 72 pixels of eight channels in splits of 16
 * kernel.bind({ partial, statistics, running }, {
 *   pixelCount: 72, vectors: 2, chunk: 16, epsilon: 1e-5, momentum: 0.1,
 * }).encode(pass);
 */
export const batchNormMergeKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm-merge',
  wgsl: [source],
  bindings: batchNormMergeBindings,
  params: batchNormMergeParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ vectors }, { WORKGROUP_SIZE }) => Math.ceil(vectors / WORKGROUP_SIZE),
});
