// One formula, one twin: the kernel differs from conv2d in where it keeps its operands, not in what it computes.
export { conv2d as conv2dTiled } from './conv2d.ts';
