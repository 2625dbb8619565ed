// One formula, one twin: the kernel differs from conv2d-filter-gradient in how it loads, not in what it computes.
export { conv2dFilterGradient as conv2dFilterGradientTiled } from './conv2d-filter-gradient.ts';
