// One formula, one twin: the kernel differs from conv2d-input-gradient in how it loads, not in what it computes.
export { conv2dInputGradient as conv2dInputGradientBroadcast } from './conv2d-input-gradient.ts';
