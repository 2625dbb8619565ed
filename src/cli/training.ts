import { LloydError } from '../gpu/errors.ts';
import type { StepReport, TrainOptions } from '../train/index.ts';
import { DivergedError } from '../train/index.ts';
import type { Context } from './command.ts';
import { checkWritable, readInput, writeAtomically } from './files.ts';
import { integer, text } from './options.ts';
import { createProgress } from './progress.ts';
import { percent, significant } from './table.ts';

/** A positive number. */
export function positive(flag: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (typeof value !== 'boolean' && value !== '' && Number.isFinite(number) && number > 0) return number;
  throw new LloydError(`${flag} must be a positive number`, value);
}

/** The options that `train` and `finetune` share, with progress, and checkpoints written beside `out` as they come. */
export async function trainingOptions(context: Context, out: string): Promise<TrainOptions> {
  const { options, signal } = context;
  await checkWritable('--out', out);
  const resume = text(options.resume);
  const given: TrainOptions = {
    steps: integer('--steps', options.steps),
    epochs: integer('--epochs', options.epochs),
    batch: integer('--batch', options.batch),
    rate: positive('--lr', options.lr),
    seed: integer('--seed', options.seed, 0),
    resume: resume === undefined ? undefined : await readInput(resume),
  };
  let shown = 0;
  let bar: ReturnType<typeof createProgress> | undefined;
  const onStep = (report: StepReport) => {
    const { step, steps, epoch, loss, accuracy, imagesPerSecond, secondsLeft } = report;
    const line =
      `epoch ${epoch}, loss ${loss.toFixed(3)}, accuracy ${percent(accuracy, 1)} %, ` +
      `${significant(imagesPerSecond)} images/s`;
    bar ??= createProgress(steps);
    bar.update(step, line);
    // A log gets about forty lines, whatever the number of steps.
    if (!process.stderr.isTTY && (step === steps || step - shown >= steps / 40)) {
      shown = step;
      context.note(`step ${step} of ${steps}: ${line}, ${Math.ceil(secondsLeft)} s left`);
    }
    if (step === steps || signal.aborted) bar.stop();
  };
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const onCheckpoint = (checkpoint: Uint8Array) => writeAtomically(checkpointPath(out), checkpoint);
  return { ...defined, signal, onStep, onCheckpoint };
}

/** Where the checkpoint of a model file is kept. */
export const checkpointPath = (out: string) => `${out.replace(/\.safetensors$/, '')}.checkpoint.safetensors`;

/** Runs a training, and writes the last good checkpoint when the loss diverges. */
export async function keepingCheckpoint<T>(out: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof DivergedError) await writeAtomically(checkpointPath(out), error.checkpoint);
    throw error;
  }
}
