import source from '../../shaders/batch-norm-merge-wide.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { batchNormMergeBindings, batchNormMergeParams } from './batch-norm-merge.ts';

/** Joins many splits of batch-norm-statistics, a workgroup a vector; shapes in `shaders/batch-norm-merge-wide.wgsl`. */
export const batchNormMergeWideKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm-merge-wide',
  wgsl: [source],
  bindings: batchNormMergeBindings,
  params: batchNormMergeParams,
  workgroups: ({ vectors }) => vectors,
});
