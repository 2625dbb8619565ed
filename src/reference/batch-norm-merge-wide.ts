// One formula, one twin: the kernel differs from batch-norm-merge in the order it joins in, which float64 does not show.
export { batchNormMerge as batchNormMergeWide } from './batch-norm-merge.ts';
