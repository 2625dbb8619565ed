import { LloydError } from '../gpu/errors.ts';
import type { StepReport, TrainOptions } from '../train/index.ts';
import { DivergedError } from '../train/index.ts';
import type { Context } from './command.ts';
import { checkWritable, readInput, writeAtomically } from './files.ts';
import { choice, integer, text } from './options.ts';
import { createProgress } from './progress.ts';
import { percent, significant } from './table.ts';

/** A positive number. */
export function positive(flag: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (typeof value !== 'boolean' && value !== '' && Number.isFinite(number) && number > 0) return number;
  throw new LloydError(`${flag} must be a positive number`, value);
}

/** A number from 0 up to, and without, 1. */
export function fraction(flag: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (typeof value !== 'boolean' && value !== '' && number >= 0 && number < 1) return number;
  throw new LloydError(`${flag} must be a number from 0 to below 1`, value);
}

/**
 * Runs a training with the options that `train` and `finetune` share: progress on stderr, checkpoints beside `out` as
 * they come, the last good one too when the loss diverges.
 */
export async function withTraining<T>(
  context: Context,
  out: string,
  run: (settings: TrainOptions) => Promise<T>,
): Promise<T> {
  const { options, signal } = context;
  await checkWritable('--out', out);
  const resume = text(options.resume);
  const given: TrainOptions = {
    steps: integer('--steps', options.steps),
    epochs: integer('--epochs', options.epochs),
    batch: integer('--batch', options.batch),
    rate: positive('--lr', options.lr),
    schedule: choice('--schedule', options.schedule, ['cosine', 'constant', 'one-cycle', 'lab']),
    average: fraction('--average', options.average),
    seed: integer('--seed', options.seed, 0),
    resume: resume === undefined ? undefined : await readInput(resume),
  };
  const settings = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const progress = reportSteps(context);
  const save = (checkpoint: Uint8Array) => writeAtomically(checkpointPath(out), checkpoint);
  try {
    return await run({ ...settings, signal, onStep: progress.report, onCheckpoint: save });
  } catch (error) {
    if (error instanceof DivergedError) await save(error.checkpoint);
    throw error;
  } finally {
    progress.stop();
  }
}

/** A bar on a terminal; in a log about forty lines, whatever the number of steps. */
function reportSteps({ note }: Context) {
  let shown = 0;
  let bar: ReturnType<typeof createProgress> | undefined;
  return {
    report({ step, steps, epoch, loss, accuracy, imagesPerSecond, secondsLeft }: StepReport) {
      const line =
        `epoch ${epoch}, loss ${loss.toFixed(3)}, accuracy ${percent(accuracy, 1)} %, ` +
        `${significant(imagesPerSecond)} images/s`;
      bar ??= createProgress(steps);
      bar.update(step, line);
      // A second run of the same command starts over.
      if (step < shown) shown = 0;
      if (process.stderr.isTTY || (step !== steps && step - shown < steps / 40)) return;
      shown = step;
      note(`step ${step} of ${steps}: ${line}, ${Math.ceil(secondsLeft)} s left`);
    },
    stop: () => bar?.stop(),
  };
}

/** Where the checkpoint of a model file is kept. */
export const checkpointPath = (out: string) => `${out.replace(/\.safetensors$/, '')}.checkpoint.safetensors`;
