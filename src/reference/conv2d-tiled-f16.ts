// One formula, one twin: the kernel rounds its products to f16, and is held to the float64 sum within that rounding.
export { conv2d as conv2dTiledF16 } from './conv2d.ts';
