export type { RequantizeRule } from '../conv/requantize.ts';
export type { Tensor } from '../gpu/tensor.ts';
export type { ConcreteOptions } from '../graph/concrete-inputs.ts';
export type { Dim, Graph, GraphModel, Node, ShapeOptions, ValueInfo } from '../graph/graph.ts';
export type { CodeOperator, OperatorName } from '../graph/ops/operators.ts';
export type {
  Attributes,
  AttributeValue,
  Inputs,
  Int64Tensor,
  KeptAttribute,
  OnnxTensor,
} from '../graph/ops/tensors.ts';
export { type ConformanceOptions, type ConformanceRow, runConformance } from './conformance.ts';
export type { ExactOperator } from './conformance-cases.ts';
export {
  type ExternalData,
  type ExternalReader,
  type ReadOnnxOptions,
  readOnnx,
} from './read-onnx.ts';
export { type OperatorOptions, operators, runOperator } from './run-operator.ts';
export { type NodeSupport, type RefusedNode, supportedNodes } from './supported-nodes.ts';
export { type CodeType, type OnnxFormat, type WriteOnnxOptions, writeOnnx } from './write-onnx.ts';
