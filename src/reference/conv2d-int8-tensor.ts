// One formula, one twin: matrices add the same integers as the register tiles, in another order.
export { conv2dAccumulators as conv2dInt8Tensor } from './conv2d-int8.ts';
