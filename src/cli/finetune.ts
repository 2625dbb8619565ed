import { basename, dirname, extname, join } from 'node:path';
import { writeModelFile } from '../model/file.ts';
import { quantizeModel } from '../model/precision.ts';
import { loadCifar10 } from '../node/cifar10.ts';
import { finetune } from '../train/index.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { findCommit, writeAtomically } from './files.ts';
import { choice, imageCount, integer, text } from './options.ts';
import { mebibytes } from './table.ts';
import { checkpointPath, keepingCheckpoint, trainingOptions } from './training.ts';
import { loadFloatModel, portablePath } from './weights.ts';

/** `lloyd finetune`: quantizes a network and trains it on at that precision. */
export async function run(context: Context): Promise<void> {
  const { options } = context;
  const method = choice('--method', options.method, ['kmeans', 'linear']) ?? 'kmeans';
  const bits = integer('--bits', options.bits) ?? 2;
  const centroids = choice('--centroids', options.centroids, ['gradient', 'mean']);
  const reassignEvery = integer('--reassign', options.reassign, 0);
  const calibrationCount = integer('--calibration', options.calibration) ?? 256;
  const limit = Math.min(imageCount(options.images) ?? 50_000, 50_000);
  const loaded = await loadFloatModel(text(options.weights));
  const stem = join(dirname(loaded.path), basename(loaded.path, extname(loaded.path)));
  const out = text(options.out) ?? `${stem}-${method}${bits}-qat.safetensors`;
  const settings = await trainingOptions(context, out);
  const runtime = await context.runtime();
  const data = await loadCifar10('train', { limit });
  context.print(
    `Fine-tuning ${await portablePath(loaded.path)} at ${method} ${bits} bit, on ${describeAdapter(runtime)}`,
  );
  const perImage = data.images.length / data.count;
  const calibration = data.images.subarray(0, Math.min(calibrationCount, data.count) * perImage);
  const quantized = await quantizeModel(runtime, loaded.network, { method, bits, calibration });
  context.signal.throwIfAborted();
  const { model, checkpoint, step, log } = await keepingCheckpoint(out, () =>
    finetune(runtime, quantized, data, {
      ...(settings.epochs === undefined && { steps: 200 }),
      batch: 32,
      centroids,
      reassignEvery,
      learnedStep: options.learnedStep === true,
      ...settings,
    }),
  );
  const bytes = writeModelFile(model, { sourceSha256: loaded.sha256, trainedSteps: String(step) });
  await writeAtomically(checkpointPath(out), checkpoint);
  await writeAtomically(out, bytes);
  context.print(
    `wrote ${await portablePath(out)} (${mebibytes(bytes.byteLength)} MiB) and its checkpoint after step ${step}`,
  );
  context.signal.throwIfAborted();
  await context.writeJson({
    adapter: runtime.adapter,
    method,
    bits,
    input: { file: await portablePath(loaded.path), sha256: loaded.sha256 },
    images: data.count,
    step,
    log,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
}
