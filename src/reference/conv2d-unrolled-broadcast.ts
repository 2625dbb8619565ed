// One formula, one twin: the kernel differs from conv2d in how it loads its weights, not in what it computes.
export { conv2d as conv2dUnrolledBroadcast } from './conv2d.ts';
