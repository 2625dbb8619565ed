export { type FinetuneOptions, finetune } from './finetune.ts';
export {
  DivergedError,
  initialize,
  type StepReport,
  type TrainingData,
  type TrainOptions,
  type TrainResult,
  train,
} from './train.ts';
