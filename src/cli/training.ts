import { stat } from 'node:fs/promises';
import { check, LloydError } from '../gpu/errors.ts';
import { readSafetensors } from '../io/safetensors.ts';
import type { ImageModel } from '../model/graph.ts';
import type { QuantizedModel } from '../model/quantized-model.ts';
import type { StepReport, TrainOptions, TrainResult } from '../train/index.ts';
import { DivergedError } from '../train/index.ts';
import type { Context, OptionValue } from './command.ts';
import { Interrupted } from './errors.ts';
import { readInput } from './files.ts';
import type { Ledger, Output } from './ledger.ts';
import { choice, imageCount, integer, parseNumber, seed, TRAINING_IMAGES, text } from './options.ts';
import { locate } from './place.ts';
import { createProgress } from './progress.ts';
import { percent, significant } from './table.ts';

/** A positive number. */
export function positive(flag: string, value: OptionValue): number | undefined {
  if (value === undefined) return undefined;
  const number = parseNumber(value);
  if (number !== undefined && Number.isFinite(number) && number > 0) return number;
  throw new LloydError(`${flag} must be a positive number`, number ?? value);
}

/** A number from 0 up to, and without, 1. */
export function fraction(flag: string, value: OptionValue): number | undefined {
  if (value === undefined) return undefined;
  const number = parseNumber(value);
  if (number !== undefined && number >= 0 && number < 1) return number;
  throw new LloydError(`${flag} must be a number from 0 to below 1`, number ?? value);
}

/** The options that `train` and `finetune` share, checked; `--resume` is read later. */
export interface TrainingOptions {
  settings: TrainOptions & { batch: number };
  resume: string | undefined;
  /** Training images at most. */
  limit: number;
}

export function trainingOptions(
  { options }: Context,
  defaults: { batch: number; steps?: number; epochs?: number },
): TrainingOptions {
  const given: TrainOptions = {
    steps: integer('--steps', options.steps),
    epochs: integer('--epochs', options.epochs),
    batch: integer('--batch', options.batch),
    rate: positive('--lr', options.lr),
    schedule: choice('--schedule', options.schedule, ['cosine', 'constant', 'one-cycle', 'lab']),
    average: fraction('--average', options.average),
    seed: seed(options.seed),
  };
  const settings = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const limit = Math.min(imageCount(options.images, TRAINING_IMAGES) ?? TRAINING_IMAGES, TRAINING_IMAGES);
  const { batch, steps, epochs } = defaults;
  const length = (given.steps ?? given.epochs) ? {} : { ...(steps && { steps }), ...(epochs && { epochs }) };
  const all = { batch, ...length, ...settings };
  check(
    all.batch <= limit,
    'there must be at least a batch of images',
    `${limit} for a batch of ${all.batch}`,
    'lower --batch, or raise --images',
  );
  return { settings: all, resume: text(options.resume), limit };
}

/** What one training is of, and what becomes of it. */
interface Training<M> {
  /** The network's file. */
  out: Output;
  options: TrainingOptions;
  run(settings: TrainOptions): Promise<TrainResult<M>>;
  /** The file's bytes. */
  encode(model: M, step: number): Uint8Array;
  /** The lines that say it is written. */
  announce(bytes: Uint8Array, step: number, checkpoint: string | null): Promise<void>;
  /** What `--json` writes. */
  report(step: number, log: readonly StepReport[]): Promise<object>;
}

/**
 * Runs a training to its end and writes the network, its checkpoint and its log. Interrupted, it leaves the network's
 * file as it was and writes the checkpoint and the log; diverged, the last good checkpoint and the log.
 */
export async function runTraining<M extends ImageModel | QuantizedModel>(
  context: Context,
  { out, options, run, encode, announce, report }: Training<M>,
): Promise<void> {
  const { files, signal } = context;
  const resume = options.resume === undefined ? undefined : await files.read(options.resume);
  const checkpoint = createCheckpoint(files, out);
  const earlier = resume ? earlierLog(await context.earlierJson()) : [];
  const log: StepReport[] = [];
  const progress = reportSteps(context, log);
  const keepLog = async () => {
    const last = log.at(-1);
    if (last)
      await context.keepJson({ ...(await report(last.step, joined(earlier, log))), interrupted: true });
  };
  const result = await run({
    ...options.settings,
    ...(resume && { resume }),
    signal,
    onStep: progress.report,
    onCheckpoint: checkpoint.save,
  })
    .catch(async (error) => {
      if (error instanceof DivergedError) {
        await checkpoint.save(error.checkpoint);
        context.note(`wrote ${checkpoint.path() ?? 'no checkpoint: it would lie beside the network'}`);
      }
      await keepLog();
      throw error;
    })
    .finally(progress.stop);
  const { step } = result;
  const last = log.at(-1);
  if (signal.aborted) {
    if (!last) throw new Interrupted('before the first step');
    await checkpoint.save(result.checkpoint);
    await keepLog();
    const cure = checkpoint.path() && `go on with --resume ${checkpoint.path()}`;
    throw new Interrupted(`after step ${step} of ${last.steps}: ${await fateOf(out)}`, cure);
  }
  // A run that had nothing left to do is its own checkpoint.
  if (last || !resume) await checkpoint.save(result.checkpoint);
  const bytes = encode(result.model, step);
  await out.write(bytes);
  await announce(bytes, step, checkpoint.path());
  await context.writeJson(await report(step, joined(earlier, log)));
}

/** What an output that was not written is: the file there was, or none. */
export async function fateOf({ path }: Output): Promise<string> {
  return `${path} ${(await locate(path)).stats ? 'is as it was' : 'was not written'}`;
}

/** A bar on a terminal; in a log about forty lines, whatever the number of steps. */
export function reportSteps({ note }: Context, log: StepReport[]) {
  let shown = 0;
  let bar: ReturnType<typeof createProgress> | undefined;
  return {
    report(report: StepReport) {
      log.push(report);
      const { step, steps, epoch, loss, accuracy, imagesPerSecond, secondsLeft } = report;
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

/** Where a training's checkpoints go. */
export interface CheckpointFile {
  save(checkpoint: Uint8Array): Promise<void>;
  /** The file, once there is one. */
  path(): string | null;
}

/**
 * A checkpoint file of the run's own, beside its output: no file that is there already is ever replaced, be it a
 * checkpoint of an earlier run, the one that is gone on from, or something else of that name. A network that goes to a
 * pipe or device has none.
 */
export function createCheckpoint(files: Ledger, out: Output): CheckpointFile {
  let output: Output | undefined;
  return {
    async save(bytes) {
      if (!out.replaceable) return;
      output ??= await claimFresh(files, out.path);
      await output.write(bytes);
    },
    path: () => output?.path ?? null,
  };
}

async function claimFresh(files: Ledger, out: string): Promise<Output> {
  for (let number = 1; ; number++) {
    const path = checkpointPath(out, number);
    if ((await locate(path)).stats === null && (await files.isFree(path))) return files.claim('--out', path);
  }
}

/** Where the checkpoint of a model file is kept: the first, or a later one where that name was taken. */
export const checkpointPath = (out: string, number = 1) =>
  `${out.replace(/\.safetensors$/, '')}.checkpoint${number > 1 ? `-${number}` : ''}.safetensors`;

/** The checkpoint of a model file that is furthest along, or undefined. */
export async function latestCheckpoint(out: string): Promise<string | undefined> {
  let latest: { path: string; step: number } | undefined;
  for (let number = 1; ; number++) {
    const path = checkpointPath(out, number);
    const found = await stat(path).catch(() => null);
    if (!found) return latest?.path;
    if (!found.isFile()) continue;
    const step = stepOf(await readInput(path));
    if (step !== null && step > (latest?.step ?? -1)) latest = { path, step };
  }
}

/** The step of a checkpoint; null for any other file. */
function stepOf(bytes: Uint8Array): number | null {
  try {
    const { format, step } = readSafetensors(bytes).metadata;
    return format === 'lloyd-checkpoint' ? Number(step) : null;
  } catch {
    return null;
  }
}

/** The steps that an interrupted run's `--json` file has. */
function earlierLog(json: unknown): readonly StepReport[] {
  const { interrupted, log } = (json ?? {}) as { interrupted?: unknown; log?: unknown };
  return interrupted === true && Array.isArray(log) ? log : [];
}

/** A log from its first step on, where the earlier one is of the same run and reaches as far. */
function joined(earlier: readonly StepReport[], log: readonly StepReport[]): readonly StepReport[] {
  const [first] = log;
  if (!first) return log;
  const before = earlier.filter((entry) => entry?.step < first.step);
  const last = before.at(-1);
  return last?.step === first.step - 1 && last.steps === first.steps ? [...before, ...log] : log;
}
