export {
  DivergedError,
  type FinetuneOptions,
  finetune,
  initialize,
  type StepReport,
  type TrainingData,
  type TrainOptions,
  type TrainResult,
  train,
} from '../train/index.ts';
export { fromLayersModel } from './layers-model.ts';
export {
  bufferToTensor,
  flush,
  type SharedTfjs,
  shareDevice,
  type Tfjs,
  type TfjsWebgpuModule,
  tensorToBuffer,
} from './share-device.ts';
