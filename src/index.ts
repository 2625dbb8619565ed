export { conv2dInt8, matmulInt8 } from './conv/conv-int8.ts';
export type { Int8Layout, Int8Operation } from './conv/int8-operation.ts';
export type { KernelFamily, KernelPreference } from './conv/kernel-choice.ts';
export {
  type Conv2dInt8Options,
  type Int8Options,
  prepareConv2dInt8,
  prepareMatmulInt8,
} from './conv/prepare-int8.ts';
export { type RequantizeRule, requantizeRules } from './conv/requantize.ts';
export { type TensorReport, tensorCores } from './conv/tensor-cores.ts';
export type { TensorCores } from './conv/tensor-tile.ts';
export { type Call, recordCalls, type Stamps } from './gpu/call.ts';
export type {
  BindingDeclaration,
  Bindings,
  ElementType,
  OverrideDeclaration,
  ParamTypes,
  ParamValues,
} from './gpu/declaration.ts';
export type { DeviceRequest } from './gpu/device.ts';
export { DeviceLostError, LloydError } from './gpu/errors.ts';
export type { GpuDType, GpuTensor } from './gpu/gpu-tensor.ts';
export type { DeviceLoss } from './gpu/guard.ts';
export {
  type BufferSlice,
  type CompiledKernel,
  defineKernel,
  type Kernel,
  type KernelDeclaration,
  type Resource,
  type Specialization,
} from './gpu/kernel.ts';
export type { MatrixShape } from './gpu/runtime.ts';
export {
  type AdapterReport,
  createRuntime,
  type Profile,
  type Runtime,
  type RuntimeOptions,
  type Scope,
} from './gpu/runtime.ts';
export type { DType, Tensor, TensorData } from './gpu/tensor.ts';
export { uploadTexels } from './gpu/texels.ts';
// What the types above are made of.
export type { Port } from './graph/concrete-inputs.ts';
export type { Dim, Graph, GraphModel, Node, ShapeOptions, Subgraph, ValueInfo } from './graph/graph.ts';
export type { OnnxDType } from './graph/ops/value.ts';
export * as kernels from './kernels/index.ts';
export type {
  Conv2dAttributes,
  ImageGraph,
  ImageModel,
  ImageNode,
  ImageShape,
  Model,
  NodeBase,
  PoolAttributes,
} from './model/graph.ts';
export { inferShapes, isImageModel } from './model/graph.ts';
export {
  type ActivationQparams,
  type CodebookLayer,
  isQuantized,
  type LinearLayer,
  type QuantizedModel,
} from './model/quantized-model.ts';
export { type VggOptions, vgg } from './model/vgg.ts';
export {
  createObserver,
  type Observer,
  type ObserverMethod,
  type ObserverOptions,
} from './quantize/calibration.ts';
export { StreamingHistogram } from './quantize/histogram.ts';
export {
  type KmeansInit,
  type KmeansOptions,
  type KmeansResult,
  kmeans,
  kmeansBatch,
  kmeansDequantize,
} from './quantize/kmeans.ts';
export type { KmeansTuning } from './quantize/kmeans-lloyd.ts';
export type { KmeansWeights } from './quantize/kmeans-options.ts';
export type { KmeansGranularity } from './quantize/kmeans-segments.ts';
export {
  fakeQuantize,
  type LinearQuantized,
  type LinearQuantizeOptions,
  linearDequantize,
  linearQuantize,
} from './quantize/linear.ts';
export { pack, unpack } from './quantize/pack.ts';
export type { CodeOptions, Scheme } from './quantize/qparams.ts';
export type { Crop, Interpolation } from './reference/preprocess-image.ts';
export type { Calibration } from './run/calibrate.ts';
export {
  type CompareOptions,
  type CompareRow,
  type CompareRowName,
  type CompareState,
  type Comparison,
  compareModel,
  compareRowNames,
  labSizeBytes,
} from './run/compare.ts';
export type { PlanEntry } from './run/executor.ts';
export type { External } from './run/external.ts';
export { modelFileBytes, readModelFile, writeModelFile } from './run/file.ts';
export type { Images } from './run/image-values.ts';
export { agreement, logitSqnrDb, topOne, wilson } from './run/metrics.ts';
export { type QuantizeModelOptions, quantizeModel } from './run/precision.ts';
export {
  type ImagePreprocessing,
  type PictureSize,
  type PreprocessImageOptions,
  preparePreprocessImage,
  preprocessImage,
} from './run/preprocess-image.ts';
export { type CompileOptions, compile, type RunOptions, type Session } from './run/session.ts';
export type { RowCounts } from './run/tally.ts';
export type { TunedLayers, TuneOptions } from './run/tune.ts';
export type { TuningStore } from './tune/store.ts';
