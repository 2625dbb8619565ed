export type { Teacher } from '../train/builder.ts';
export {
  DivergedError,
  type FinetuneOptions,
  finetune,
  initialize,
  type RecoveredWidth,
  type RecoverOptions,
  rateAt,
  recoverAccuracy,
  type Schedule,
  type StepReport,
  type TrainingData,
  type TrainOptions,
  type TrainResult,
  train,
} from '../train/index.ts';
export { type FakeQuantizeOptions, fakeQuantize } from './fake-quantize.ts';
export { fromGraphModel } from './graph-model.ts';
export { fromLayersModel } from './layers-model.ts';
export { registerKernels } from './register-kernels.ts';
export {
  bufferToTensor,
  flush,
  type SharedTfjs,
  shareDevice,
  type Tfjs,
  type TfjsWebgpuModule,
  tensorToBuffer,
} from './share-device.ts';
export type { GraphReadOptions, ReadOptions } from './tensorflow.ts';
