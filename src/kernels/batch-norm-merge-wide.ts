import source from '../../shaders/batch-norm-merge-wide.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { batchNormMergeKernel } from './batch-norm-merge.ts';

const { bindings, params } = batchNormMergeKernel.declaration;

/** Joins many splits of batch-norm-statistics, a workgroup a vector; shapes in `shaders/batch-norm-merge-wide.wgsl`. */
export const batchNormMergeWideKernel = defineKernel({
  name: 'batch-norm-merge-wide',
  wgsl: [source],
  bindings,
  params,
  workgroups: ({ vectors }) => vectors,
});
