export { type AdapterReport, createRuntime, type Profile, type Runtime, type RuntimeOptions, type Scope } from './gpu/runtime.ts';
export { LloydError } from './gpu/errors.ts';
export {
  type BufferSlice,
  type Call,
  type CompiledKernel,
  defineKernel,
  type Kernel,
  type KernelDeclaration,
  type Specialization,
} from './gpu/kernel.ts';
export type { DType, Tensor, TensorData } from './gpu/tensor.ts';
export { kernels } from './kernels/index.ts';
export {
  kmeans,
  kmeansBatch,
  kmeansDequantize,
  type KmeansInit,
  type KmeansOptions,
  type KmeansResult,
} from './quantize/kmeans.ts';
export { fakeQuantize, linearDequantize, linearQuantize, type LinearQuantized, type LinearQuantizeOptions } from './quantize/linear.ts';
export { type RequantizeRule, requantizeRules } from './quantize/requantize.ts';
export type { Conv2dAttributes, Graph, GraphNode, ImageShape, Model, PoolAttributes } from './model/graph.ts';
export { inferShapes } from './model/graph.ts';
export { vgg, type VggOptions } from './model/vgg.ts';
export {
  type ActivationQparams,
  type CodebookLayer,
  isQuantized,
  type LinearLayer,
  quantizeModel,
  type QuantizedModel,
  type QuantizeModelOptions,
} from './model/precision.ts';
export { compile, type CompileOptions, type Session } from './model/session.ts';
export type { PlanEntry } from './model/executor.ts';
