import source from '../../shaders/batch-norm-merge-wide.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { batchNormMergeBindings, batchNormMergeParams } from './batch-norm-merge.ts';

/**
 * Joins many splits of batch-norm-statistics, a workgroup a vector; shapes in
 * `shaders/batch-norm-merge-wide.wgsl`.
 *
 * @example
 * const kernel = await kernels.batchNormMergeWide.create(device); // 72 pixels of eight channels in splits of 16
 * kernel.bind({ partial, statistics, running }, {
 *   pixelCount: 72, vectors: 2, chunk: 16, epsilon: 1e-5, momentum: 0.1,
 * }).encode(pass);
 */
export const batchNormMergeWideKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm-merge-wide',
  wgsl: [source],
  bindings: batchNormMergeBindings,
  params: batchNormMergeParams,
  workgroups: ({ vectors }) => vectors,
});
