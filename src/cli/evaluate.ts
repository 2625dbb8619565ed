import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ImageModel, Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { asItRuns } from '../onnx/as-it-runs.ts';
import { topOne, wilson } from '../run/metrics.ts';
import { compile } from '../run/session.ts';
import { affordableImages, imagesPerSecond } from './budget.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { loadImages } from './data.ts';
import { evaluatePictures, labelledPictures } from './evaluate-folder.ts';
import { findCommit } from './files.ts';
import { constantOptions, imageCount, integer, shapeOptions, text } from './options.ts';
import { pictureSettings } from './pictures.ts';
import { createProgress } from './progress.ts';
import { checkShapes } from './samples.ts';
import { mebibytes, percent, significant, thousands } from './table.ts';
import { type LoadedModel, loadModel, loadNetwork, portablePath } from './weights.ts';

const TEST_IMAGES = 10_000;
const PICTURE_FLAGS = ['size', 'mean', 'std', 'layout', 'order', 'interpolation', 'shape', 'constant'];

export async function run(context: Context): Promise<void> {
  const { args, options } = context;
  const data = text(options.data);
  const asked = imageCount(options.images, data === undefined ? TEST_IMAGES : Number.MAX_SAFE_INTEGER);
  const batch = integer('--batch', options.batch) ?? 32;
  const pictures = pictureSettings(options);
  const shapes = shapeOptions(options.shape);
  const constants = constantOptions(options.constant);
  for (const flag of PICTURE_FLAGS) {
    check(
      data !== undefined || options[flag] === undefined,
      `--${flag} is of pictures`,
      'no --data',
      'add --data FOLDER',
    );
  }
  const onFolder = async (folder: string) => {
    const given = await loadNetwork(context.files, args[0], constants);
    const loaded = { ...given, network: asItRuns(given.network) };
    checkShapes(isQuantized(loaded.network) ? loaded.network.model : loaded.network, shapes);
    const labelled = await labelledPictures(folder, loaded.network, shapes, pictures);
    const runtime = await announce(context, loaded, folder);
    const result = await evaluatePictures(context, runtime, loaded.network, labelled, { asked, batch });
    await report(context, runtime, loaded, { ...result, classes: labelled.classes }, 'pictures');
  };
  const onCifar10 = async () => {
    const loaded = await loadModel(context.files, args[0]);
    const { network } = loaded;
    const runtime = await announce(context, loaded, 'CIFAR-10');
    const { test } = await loadImages(context.files, Math.min(asked ?? TEST_IMAGES, TEST_IMAGES), 0);
    const images = asked === undefined ? await affordable(runtime, network, test.images, batch) : test.count;
    const result = await evaluate(context, runtime, network, {
      images: test.images.subarray(0, images * (test.images.length / test.count)),
      labels: test.labels.subarray(0, images),
      batch: Math.min(batch, images),
    });
    await report(context, runtime, loaded, { images, ...result }, 'test images');
  };
  await (data === undefined ? onCifar10() : onFolder(data));
}

type Loaded = LoadedModel<Model | QuantizedModel>;

async function announce(context: Context, { path, network }: Loaded, on: string): Promise<Runtime> {
  const runtime = await context.runtime();
  context.print(
    `Evaluating ${await portablePath(path)} (${precisionOf(network)}) on ${on}, on ${describeAdapter(runtime)}`,
  );
  return runtime;
}

async function report(
  context: Context,
  runtime: Runtime,
  { path, network, sha256, fileBytes }: Loaded,
  { images, ...result }: { images: number } & Awaited<ReturnType<typeof evaluate>> & { classes?: string[] },
  what: string,
): Promise<void> {
  context.print();
  context.print(
    `${percent(result.accuracy)} % of ${thousands(images)} ${what} (95 %: ` +
      `${percent(result.accuracyLow, 1)}-${percent(result.accuracyHigh, 1)}), ` +
      `${significant(result.imagesPerSecond)} images/s, ${mebibytes(result.gpuBytes)} MiB of GPU memory`,
  );
  await context.writeJson({
    adapter: runtime.adapter,
    images,
    file: await portablePath(path),
    sha256,
    fileBytes,
    method: isQuantized(network) ? network.method : 'fp32',
    bits: isQuantized(network) ? network.bits : 32,
    ...result,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
}

/** `kmeans 4 bit`, or `kmeans 4 to 8 bit` where a plan mixes widths. */
function precisionOf(network: Model | QuantizedModel): string {
  if (!isQuantized(network)) return 'fp32';
  const widths = [...network.layers.values()].map(({ bits }) => bits);
  const [low, high] = [Math.min(...widths), Math.max(...widths)];
  return `${network.method} ${low === high ? low : `${low} to ${high}`} bit`;
}

async function affordable(
  runtime: Runtime,
  network: ImageModel | QuantizedModel,
  images: Uint8Array,
  batch: number,
) {
  const { profile } = runtime.adapter;
  if (profile === 'gpu') return TEST_IMAGES;
  const speed = await imagesPerSecond(runtime, network, images.subarray(0, 2 * 3072));
  return affordableImages(profile, { float: speed, integer: speed }, { float: 1, integer: 0 }, batch);
}

/** Accuracy and speed of one network, a batch at a time so that the bar moves and Ctrl-C is heard. */
async function evaluate(
  { signal }: Context,
  runtime: Runtime,
  network: ImageModel | QuantizedModel,
  { images, labels, batch }: { images: Uint8Array; labels: Uint8Array; batch: number },
) {
  const session = await compile(runtime, network, { batch });
  const progress = createProgress(labels.length);
  const perImage = images.length / labels.length;
  try {
    let right = 0;
    let seconds = 0;
    let timed = 0;
    for (let first = 0; first < labels.length; first += 4 * batch) {
      signal.throwIfAborted();
      progress.update(first, 'images');
      const count = Math.min(4 * batch, labels.length - first);
      const started = performance.now();
      const logits = await session.run(images.subarray(first * perImage, (first + count) * perImage));
      // The first run pays for the driver's own compilation: it counts only alone.
      if (first > 0 || labels.length <= 4 * batch) {
        seconds += (performance.now() - started) / 1000;
        timed += count;
      }
      right += topOne(logits, session.classes).filter((top, i) => top === labels[first + i]).length;
    }
    const [accuracyLow, accuracyHigh] = wilson(right, labels.length);
    return {
      accuracy: right / labels.length,
      accuracyLow,
      accuracyHigh,
      imagesPerSecond: timed / seconds,
      gpuBytes: session.gpuBytes.total,
    };
  } finally {
    progress.stop();
    session.destroy();
  }
}
