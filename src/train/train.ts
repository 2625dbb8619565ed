import { check, LloydError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { ImageModel, Model } from '../model/graph.ts';
import type { Teacher } from './builder.ts';
import { imageForm } from './image-form.ts';
import { rateAt, type Schedule } from './schedule.ts';
import { createTrainer, type Trainer } from './trainer.ts';

/** Labelled images: NHWC pixels 0-255, and a class from 0 for each. */
export interface TrainingData {
  images: Uint8Array;
  labels: Uint8Array;
}

/** What a step reports. */
export interface StepReport {
  /** From 1. */
  step: number;
  steps: number;
  epoch: number;
  /** Mean cross entropy of the batch, label smoothing included. */
  loss: number;
  /** Fraction of the batch that was right, before the step. */
  accuracy: number;
  rate: number;
  imagesPerSecond: number;
  secondsLeft: number;
}

/** Options of {@link train} and `finetune`. */
export interface TrainOptions {
  /** Passes over the images; `steps` overrides. */
  epochs?: number;
  steps?: number;
  /** Images a step. */
  batch?: number;
  /** The learning rate at its highest. */
  rate?: number;
  /** `cosine` to zero over the whole run unless given; see {@link rateAt}. */
  schedule?: Schedule;
  momentum?: number;
  nesterov?: boolean;
  /** Of weights; batch norm and biases have none. */
  weightDecay?: number;
  labelSmoothing?: number;
  /** Decay of a moving average of the parameters, which becomes the result (0.999 for long runs); 0 keeps none. */
  average?: number;
  /**
   * A network in float32 whose logits are learned from, on the same augmented images (distillation; Hinton et al.,
   * 2015): beside the labels, or with `share` 1, which is the default, instead of them.
   */
  teacher?: Teacher;
  /** Random crop with 4 pixels of padding, and flip. */
  augment?: boolean;
  seed?: number;
  /** A checkpoint is kept every so many steps, for a loss that turns NaN. */
  checkpointEvery?: number;
  /** A checkpoint to go on from: the result is that of a run never interrupted, bit for bit, on the same adapter. */
  resume?: Uint8Array;
  onStep?: (report: StepReport) => void;
  onCheckpoint?: (checkpoint: Uint8Array, step: number) => Promise<void> | void;
  /** Stops after the step under way; the result is what was reached. */
  signal?: AbortSignal;
}

/** What training leaves. */
export interface TrainResult<M> {
  model: M;
  /** Safetensors with everything a resumed run needs. */
  checkpoint: Uint8Array;
  step: number;
  /** Every step's report: the log, as data. */
  log: StepReport[];
}

/**
 * Training stopped because the loss was no number any more; `checkpoint` is the last good one.
 *
 * @example
 * const trained = await train(runtime, model, data, { epochs: 1, batch: 2 }).catch((error) => {
 *   if (error instanceof DivergedError) return writeFile('last-good.safetensors', error.checkpoint);
 *   throw error;
 * });
 */
export class DivergedError extends LloydError {
  override name = 'DivergedError';
  constructor(
    readonly step: number,
    readonly checkpoint: Uint8Array,
    readonly checkpointStep: number,
    loss: number,
  ) {
    super(
      'the loss must stay a finite number',
      `${loss} at step ${step}`,
      `lower the learning rate; the checkpoint of step ${checkpointStep} is the last good one`,
    );
  }
}

/**
 * Trains a network from the parameters it has, by stochastic gradient descent with momentum, on the GPU alone.
 *
 * The graph is of convolutions with batch norm or bias, depthwise ones too, ReLU, pools, sums (residuals) and linear
 * layers. Batch norm uses batch statistics and moves its running ones by a tenth (Ioffe and Szegedy, 2015); the rate
 * follows half a cosine (Loshchilov and Hutter, 2017) or one cycle; labels are smoothed (Szegedy et al., 2016). Every
 * sum has a fixed order, so a seed gives the same weights in every run on one adapter.
 *
 * @returns the trained model (float32), the checkpoint, and the log
 * @throws DivergedError when the loss turns NaN or infinite, with the last good checkpoint
 * @throws LloydError for no images, more classes than outputs, a checkpoint of another network, or a node that cannot
 *   be trained
 * @example
 * const start = initialize(vgg(), { seed: 1 });
 * const { model } = await train(runtime, start, { images, labels }, { epochs: 14, batch: 250, rate: 0.1 });
 */
export async function train(
  runtime: Runtime,
  given: Model,
  data: TrainingData,
  options: TrainOptions = {},
): Promise<TrainResult<ImageModel>> {
  checkRuntime(runtime);
  const settings = { rate: 0.1, weightDecay: 5e-4, labelSmoothing: 0.1, nesterov: true, ...options };
  const { model } = imageForm(given);
  return guardOf(runtime.device).operation(async () => {
    const trainer = await createTrainer(runtime, model, settings);
    try {
      const { step, log, checkpoint } = await runSteps(trainer, model, data, settings);
      trainer.useAverage();
      return { model: await trainer.model(), checkpoint, step, log };
    } finally {
      trainer.destroy();
    }
  });
}

/** The loop itself, for any trainer; `kept` are settings of the caller's that a resumed run must share. */
export async function runSteps(
  trainer: Trainer,
  model: ImageModel,
  data: TrainingData,
  options: TrainOptions,
  {
    afterStep,
    kept = {},
  }: { afterStep?: (step: number, perEpoch: number) => Promise<boolean>; kept?: object } = {},
) {
  const { batch } = trainer;
  const { rate = 0.1, schedule = 'cosine', augment = true, seed = 0 } = options;
  const count = checkData(model, data, trainer.classes, batch);
  const perEpoch = Math.floor(count / batch);
  const steps = options.steps ?? (options.epochs ?? 1) * perEpoch;
  check(Number.isInteger(steps) && steps >= 1, 'steps must be a positive integer', steps);
  check(Number.isFinite(rate) && rate > 0, 'the learning rate must be a positive number', rate);
  check(Number.isInteger(seed) && seed >= 0, 'seed must be a non-negative integer', seed);
  const checkpointEvery = options.checkpointEvery ?? Math.max(1, perEpoch);
  const average = options.average || undefined;
  const teacher = options.teacher && {
    share: options.teacher.share,
    temperature: options.teacher.temperature,
  };
  const settings = JSON.stringify({
    ...{ steps, batch, rate, schedule, augment, seed, count, average, teacher },
    ...kept,
  });
  let step = options.resume ? await trainer.restore(options.resume, settings) : 0;
  let good = { checkpoint: await trainer.checkpoint(step, settings), step };
  const log: StepReport[] = [];
  const started = performance.now();
  const first = step;
  while (step < steps && !options.signal?.aborted) {
    const epoch = Math.floor(step / perEpoch);
    const now = rateAt(schedule, rate, step, steps);
    const { loss, accuracy } = await trainer.step(data, { step, perEpoch, rate: now, augment, seed });
    step++;
    if (!Number.isFinite(loss)) throw new DivergedError(step, good.checkpoint, good.step, loss);
    const enough = await afterStep?.(step, perEpoch);
    const seconds = (performance.now() - started) / 1000;
    const done = step - first;
    const report = {
      step,
      steps,
      epoch: epoch + 1,
      loss,
      accuracy,
      rate: now,
      imagesPerSecond: (done * batch) / seconds,
      secondsLeft: (seconds / done) * (steps - step),
    };
    log.push(report);
    options.onStep?.(report);
    if (step % checkpointEvery === 0 && step < steps) {
      good = { checkpoint: await trainer.checkpoint(step, settings), step };
      await options.onCheckpoint?.(good.checkpoint, step);
    }
    if (enough) break;
  }
  return { step, log, checkpoint: await trainer.checkpoint(step, settings) };
}

function checkData(
  model: ImageModel,
  { images, labels }: TrainingData,
  classes: number,
  batch: number,
): number {
  const { height, width, channels } = model.graph.input;
  const count = labels.length;
  check(count >= 1, 'training needs images', 'an empty data set');
  check(
    images.length === count * height * width * channels,
    `images must hold ${height * width * channels} values for each of the ${count} labels`,
    images.length,
  );
  check(
    count >= batch,
    `there must be at least a batch of images`,
    `${count} for a batch of ${batch}`,
    'lower batch',
  );
  const highest = labels.reduce((a, b) => Math.max(a, b), 0);
  check(
    highest < classes,
    `labels must be below the network's ${classes} outputs`,
    highest,
    'build the network with more classes',
  );
  return count;
}
