export type { Teacher } from './builder.ts';
export { type FinetuneOptions, finetune } from './finetune.ts';
export { initialize } from './initialize.ts';
export { type RecoveredWidth, type RecoverOptions, recoverAccuracy } from './recover.ts';
export { rateAt, type Schedule } from './schedule.ts';
export {
  DivergedError,
  type StepReport,
  type TrainingData,
  type TrainOptions,
  type TrainResult,
  train,
} from './train.ts';
