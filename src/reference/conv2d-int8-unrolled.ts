// One formula, one twin: the kernel differs from conv2d-int8 in how it keeps its sums, not in what they are.
export { conv2dAccumulators as conv2dInt8Unrolled } from './conv2d-int8.ts';
