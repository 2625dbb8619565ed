export type { Tensor } from '../gpu/tensor.ts';
export type { Attributes, Inputs, Int64Tensor, OnnxTensor } from '../graph/ops/tensors.ts';
export type { RequantizeRule } from '../quantize/requantize.ts';
export { type ConformanceOptions, type ConformanceRow, runConformance } from './conformance.ts';
export { type OperatorName, type OperatorOptions, operators, runOperator } from './run-operator.ts';
