// One formula, one twin: the kernel differs from conv2d-int8 in how it loads its weights, not in what it computes.
export { conv2dAccumulators as conv2dInt8Broadcast } from './conv2d-int8.ts';
