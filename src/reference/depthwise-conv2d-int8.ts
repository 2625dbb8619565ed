// One formula, one twin: a depthwise convolution is the grouped one whose groups have one input channel each.
export { conv2dAccumulators as depthwiseConv2dInt8 } from './conv2d-int8.ts';
