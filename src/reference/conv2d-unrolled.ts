// One formula, one twin: the kernel differs from conv2d in how it keeps its sums, not in what they are.
export { conv2d as conv2dUnrolled } from './conv2d.ts';
