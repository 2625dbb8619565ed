import { basename, dirname, extname, join } from 'node:path';
import { check, LloydError } from '../gpu/errors.ts';
import { writeModelFile } from '../model/file.ts';
import { quantizeModel } from '../model/precision.ts';
import { loadCifar10 } from '../node/cifar10.ts';
import { type FinetuneOptions, finetune, recoverAccuracy } from '../train/index.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { findCommit, writeAtomically } from './files.ts';
import { choice, imageCount, integer, list, text } from './options.ts';
import { alignTable, columns, mebibytes, percent } from './table.ts';
import { checkpointPath, fraction, positive, withTraining } from './training.ts';
import { loadFloatModel, portablePath } from './weights.ts';

/** `lloyd finetune`: quantizes a network and trains it on at that precision. */
export async function run(context: Context): Promise<void> {
  const { options } = context;
  const method = choice('--method', options.method, ['kmeans', 'linear']) ?? 'kmeans';
  const widths = (list(options.bits) ?? ['2']).map((width) => integer('--bits', width)!);
  const within = positive('--within', options.within);
  const held = integer('--held', options.held) ?? 1000;
  const own: FinetuneOptions = {
    centroids: choice('--centroids', options.centroids, ['gradient', 'mean-gradient', 'mean']),
    reassignEvery: integer('--reassign', options.reassign, 0),
    reestimate: integer('--reestimate', options.reestimate, 0),
    observe: fraction('--observe', options.observe),
    learnedStep: options.learnedStep === true,
  };
  const calibrationCount = integer('--calibration', options.calibration) ?? 256;
  const limit = Math.min(imageCount(options.images) ?? 50_000, 50_000);
  const loaded = await loadFloatModel(text(options.weights));
  const stem = join(dirname(loaded.path), basename(loaded.path, extname(loaded.path)));
  const outOf = (bits: number) => text(options.out) ?? `${stem}-${method}${bits}-qat.safetensors`;
  const input = { file: await portablePath(loaded.path), sha256: loaded.sha256 };
  const common = async () => ({
    adapter: (await context.runtime()).adapter,
    method,
    input,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
  const announce = async () => {
    const runtime = await context.runtime();
    context.print(
      `Fine-tuning ${input.file} at ${method} ${widths.join(', ')} bit, on ${describeAdapter(runtime)}`,
    );
    return { runtime, data: await loadCifar10('train', { limit }) };
  };
  if (within !== undefined) {
    check(method === 'kmeans', '--within repeats the lab, which clusters', `--method ${method}`);
    for (const flag of ['steps', 'resume', 'out'] as const) {
      if (options[flag] !== undefined) throw new LloydError(`--within takes no --${flag}`, options[flag]);
    }
    return recover(context, { announce, common, own, widths, within, held, loaded, outOf });
  }
  check(widths.length === 1, '--bits takes one width', widths.join(','), 'or --within, which takes several');
  const [bits] = widths;
  const out = outOf(bits);
  const { model, checkpoint, step, log, images } = await withTraining(context, out, async (settings) => {
    const { runtime, data } = await announce();
    const perImage = data.images.length / data.count;
    const calibration = data.images.subarray(0, Math.min(calibrationCount, data.count) * perImage);
    const quantized = await quantizeModel(runtime, loaded.network, { method, bits, calibration });
    context.signal.throwIfAborted();
    const result = await finetune(runtime, quantized, data, {
      ...(settings.epochs === undefined && { steps: 200 }),
      batch: 32,
      ...own,
      ...settings,
    });
    return { ...result, images: data.count };
  });
  const bytes = writeModelFile(model, { sourceSha256: loaded.sha256, trainedSteps: String(step) });
  await writeAtomically(checkpointPath(out), checkpoint);
  await writeAtomically(out, bytes);
  context.print(
    `wrote ${await portablePath(out)} (${mebibytes(bytes.byteLength)} MiB) and its checkpoint after step ${step}`,
  );
  context.signal.throwIfAborted();
  await context.writeJson({ ...(await common()), bits, images, step, log });
}

interface Recovery {
  announce(): Promise<{ runtime: Awaited<ReturnType<Context['runtime']>>; data: Cifar10 }>;
  common(): Promise<object>;
  own: FinetuneOptions;
  widths: readonly number[];
  /** Points of accuracy. */
  within: number;
  held: number;
  loaded: Awaited<ReturnType<typeof loadFloatModel>>;
  outOf(bits: number): string;
}

type Cifar10 = Awaited<ReturnType<typeof loadCifar10>>;

/** `--within`: each width epoch by epoch, until it is as good as asked for. */
async function recover(context: Context, recovery: Recovery): Promise<void> {
  const { announce, common, own, widths: bits, within, held: heldCount, loaded, outOf } = recovery;
  const { float32, widths } = await withTraining(context, outOf(bits[0]), async ({ epochs, ...settings }) => {
    const { runtime, data } = await announce();
    const held = await loadCifar10('test', { limit: heldCount });
    return recoverAccuracy(runtime, loaded.network, data, {
      ...{ batch: 32, ...own, ...settings, onCheckpoint: undefined },
      ...{ bits, held, threshold: within / 100, maxEpochs: epochs ?? 5 },
    });
  });
  for (const { bits: width, model, epochs } of widths) {
    if (epochs.length === 0) continue;
    const bytes = writeModelFile(model, {
      sourceSha256: loaded.sha256,
      trainedEpochs: String(epochs.length),
    });
    await writeAtomically(outOf(width), bytes);
    context.print(`wrote ${await portablePath(outOf(width))} (${mebibytes(bytes.byteLength)} MiB)`);
  }
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
  context.signal.throwIfAborted();
  const results = widths.map(({ model: _, ...rest }) => rest);
  await context.writeJson({ ...(await common()), held: heldCount, float32, widths: results });
}
