import { basename, dirname, extname, join } from 'node:path';
import { printable } from '../gpu/describe.ts';
import { check, LloydError } from '../gpu/errors.ts';
import { writeModelFile } from '../run/file.ts';
import { quantizeModel } from '../run/precision.ts';
import { checkFinetuning } from '../train/finetune.ts';
import {
  DivergedError,
  type FinetuneOptions,
  finetune,
  type RecoveredWidth,
  recoverAccuracy,
  type Teacher,
} from '../train/index.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { loadSplit } from './data.ts';
import { Interrupted, isInterruption } from './errors.ts';
import { findCommit } from './files.ts';
import type { Output } from './ledger.ts';
import { bitWidth, choice, integer, list, TEST_IMAGES, TRAINING_IMAGES, text } from './options.ts';
import { alignTable, columns, mebibytes, percent } from './table.ts';
import {
  createCheckpoint,
  fateOf,
  fraction,
  positive,
  reportSteps,
  runTraining,
  type TrainingOptions,
  trainingOptions,
} from './training.ts';
import { loadFloatModel, portablePath } from './weights.ts';

/** What was asked for, all of it checked before any file is opened. */
interface Request {
  method: 'kmeans' | 'linear';
  widths: readonly number[];
  own: FinetuneOptions;
  /** Points of accuracy. */
  within: number | undefined;
  held: number;
  calibration: number;
  /** A network to learn from, and how. */
  teacher?: { path: string } & Pick<Teacher, 'share' | 'temperature'>;
  training: TrainingOptions;
}

/** `lloyd finetune`: quantizes a network and trains it on at that precision. */
export async function run(context: Context): Promise<void> {
  const { options, files } = context;
  const request = readRequest(context);
  const { method, widths, within, training } = request;
  const loaded = await loadFloatModel(files, text(options.weights));
  const taught = request.teacher && (await loadFloatModel(files, request.teacher.path));
  if (training.resume !== undefined) await files.reads(training.resume);
  const stem = join(dirname(loaded.path), basename(loaded.path, extname(loaded.path)));
  const outputs: Output[] = [];
  for (const bits of widths) {
    outputs.push(await files.claim('--out', text(options.out) ?? `${stem}-${method}${bits}-qat.safetensors`));
  }
  const input = { file: await portablePath(loaded.path), sha256: loaded.sha256 };
  const { path: _, ...ways } = request.teacher ?? { path: undefined };
  const teacher = taught && { file: await portablePath(taught.path), sha256: taught.sha256, ...ways };
  const work: Work = {
    request,
    loaded,
    teacher: taught && { model: taught.network, ...ways },
    outputs,
    common: async () => ({
      adapter: (await context.runtime()).adapter,
      method,
      input,
      ...(teacher && { teacher }),
      commit: await findCommit(),
      date: new Date().toISOString(),
    }),
    async begin() {
      const runtime = await context.runtime();
      context.print(
        `Fine-tuning ${printable(input.file)} at ${method} ${widths.join(', ')} bit, on ${describeAdapter(runtime)}`,
      );
      return { runtime, data: await loadSplit(files, 'train', training.limit) };
    },
  };
  await (within === undefined ? tune(context, work) : recover(context, work, within));
}

function readRequest(context: Context): Request {
  const { options } = context;
  const method = choice('--method', options.method, ['kmeans', 'linear']) ?? 'kmeans';
  const given = list(options.bits) ?? ['2'];
  const widths = given.map((width) => bitWidth(method, width)!);
  const within = positive('--within', options.within);
  const held = integer('--held', options.held, 1, TEST_IMAGES) ?? 1000;
  const own: FinetuneOptions = {
    centroids: choice('--centroids', options.centroids, ['gradient', 'mean-gradient', 'mean']),
    reassignEvery: integer('--reassign', options.reassign, 0),
    reestimate: integer('--reestimate', options.reestimate, 0, TRAINING_IMAGES),
    observe: fraction('--observe', options.observe),
    learnedStep: options.learnedStep === true,
  };
  const calibration = integer('--calibration', options.calibration, 1, TRAINING_IMAGES) ?? 256;
  const training = trainingOptions(context, { batch: 32, ...(within === undefined && { steps: 200 }) });
  const { centroids = 'mean', reassignEvery = 0, observe = 0, reestimate = 0 } = own;
  checkFinetuning({ method }, { centroids, reassignEvery, observe, reestimate });
  check(widths.length > 0, '--bits must name a width', options.bits);
  if (within === undefined) {
    check(
      widths.length === 1,
      '--bits takes one width',
      widths.join(','),
      'or --within, which takes several',
    );
  } else {
    check(method === 'kmeans', '--within repeats the lab, which clusters', `--method ${method}`);
    for (const flag of ['steps', 'resume', 'out'] as const) {
      if (options[flag] !== undefined) throw new LloydError(`--within takes no --${flag}`, options[flag]);
    }
  }
  return { method, widths, own, within, held, calibration, teacher: readTeacher(context), training };
}

function readTeacher({ options }: Context): Request['teacher'] {
  const path = text(options.teacher);
  const share = positive('--teacher-share', options.teacherShare);
  const temperature = positive('--temperature', options.temperature);
  check(share === undefined || share <= 1, '--teacher-share must be above 0 and at most 1', share);
  if (path !== undefined) return { path, share, temperature };
  for (const [flag, value] of Object.entries({ '--teacher-share': share, '--temperature': temperature })) {
    check(value === undefined, `${flag} says how to learn from a teacher`, value, 'name one with --teacher');
  }
  return undefined;
}

/** What both ways of fine-tuning need. */
interface Work {
  request: Request;
  loaded: Awaited<ReturnType<typeof loadFloatModel>>;
  teacher?: Teacher;
  /** One a width. */
  outputs: readonly Output[];
  common(): Promise<object>;
  begin(): Promise<{
    runtime: Awaited<ReturnType<Context['runtime']>>;
    data: Awaited<ReturnType<typeof loadSplit>>;
  }>;
}

/** One width, for as many steps as asked for. */
async function tune(
  context: Context,
  { request, loaded, teacher, outputs, common, begin }: Work,
): Promise<void> {
  const { method, own, calibration: count, training } = request;
  const [bits] = request.widths;
  const [out] = outputs;
  let images = 0;
  await runTraining(context, {
    out,
    options: training,
    async run(settings) {
      const { runtime, data } = await begin();
      images = data.count;
      const perImage = data.images.length / data.count;
      const calibration = data.images.subarray(0, Math.min(count, data.count) * perImage);
      const quantized = await quantizeModel(runtime, loaded.network, { method, bits, calibration });
      context.signal.throwIfAborted();
      return finetune(runtime, quantized, data, { ...own, teacher, ...settings });
    },
    encode: (model, step) =>
      writeModelFile(model, { sourceSha256: loaded.sha256, trainedSteps: String(step) }),
    async announce(bytes, step, checkpoint) {
      const file = printable(await portablePath(out.path));
      const beside = checkpoint ? ` and ${printable(await portablePath(checkpoint))}` : '';
      context.print(`wrote ${file} (${mebibytes(bytes.byteLength)} MiB)${beside} after step ${step}`);
    },
    report: async (step, log) => ({ ...(await common()), bits, images, step, log }),
  });
}

/** `--within`: each width epoch by epoch, until it is as good as asked for; each is written once it is done. */
async function recover(
  context: Context,
  { request, loaded, teacher, outputs, common, begin }: Work,
  within: number,
): Promise<void> {
  const { widths: bits, own, held: heldCount, training } = request;
  const { epochs, steps: _, ...settings } = training.settings;
  const { runtime, data } = await begin();
  const held = await loadSplit(context.files, 'test', heldCount);
  const progress = reportSteps(context, []);
  const done: object[] = [];
  const write = async ({ model, ...result }: RecoveredWidth) => {
    const out = outputs[done.length];
    done.push(result);
    if (result.epochs.length > 0) {
      const trainedEpochs = String(result.epochs.length);
      const bytes = writeModelFile(model, { sourceSha256: loaded.sha256, trainedEpochs });
      await out.write(bytes);
      progress.stop();
      context.print(`wrote ${printable(await portablePath(out.path))} (${mebibytes(bytes.byteLength)} MiB)`);
    }
    await context.keepJson({ ...(await common()), held: heldCount, widths: done, interrupted: true });
  };
  let writing = Promise.resolve();
  const recovered = recoverAccuracy(runtime, loaded.network, data, {
    ...{ ...own, teacher, ...settings, signal: context.signal, onStep: progress.report },
    ...{ bits, held, threshold: within / 100, maxEpochs: epochs ?? 5 },
    onWidth(result) {
      // What an interruption leaves of a width is not what was asked for.
      context.signal.throwIfAborted();
      writing = writing.then(() => write(result));
    },
  }).finally(progress.stop);
  const [outcome] = await Promise.allSettled([recovered]);
  await writing;
  if (outcome.status === 'rejected') {
    if (outcome.reason instanceof DivergedError) {
      const checkpoint = createCheckpoint(context.files, outputs[done.length]);
      await checkpoint.save(outcome.reason.checkpoint);
      if (checkpoint.path()) context.note(`wrote ${checkpoint.path()}`);
    }
    if (!isInterruption(outcome.reason, context.signal)) throw outcome.reason;
  }
  if (outcome.status === 'rejected' || done.length < bits.length) {
    throw new Interrupted(`at ${bits[done.length]} bit: ${await fateOf(outputs[done.length])}`);
  }
  const { float32, widths } = outcome.value;
  const rows = widths.map(({ bits: width, before, epochs, accuracy }) => [
    `k-means ${width} bit`,
    percent(before),
    epochs.map((each) => percent(each)).join(' ') || 'not needed',
    percent(accuracy),
    percent(accuracy - float32),
  ]);
  const table = alignTable(columns('precision, clustered %, after each epoch %, best %, to fp32'), rows);
  for (const line of [`fp32 ${percent(float32)} % on ${heldCount} held-out images`, ...table])
    context.print(line);
  await context.writeJson({ ...(await common()), held: heldCount, float32, widths: done });
}
