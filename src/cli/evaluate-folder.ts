import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { numbersOf } from '../graph/ops/value.ts';
import type { Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { topOne, wilson } from '../run/metrics.ts';
import { type PictureInput, type PictureSettings, pictureInput, spreadOver } from '../run/picture-input.ts';
import { compile } from '../run/session.ts';
import { affordableImages } from './budget.ts';
import type { Context } from './command.ts';
import { listPictures, PICTURE_OPTIONS, readPictures } from './pictures.ts';
import { createProgress } from './progress.ts';

/** Pictures with the classes of their folders. */
export interface LabelledPictures {
  /** Names of the folders, sorted: the network's classes in order. */
  classes: string[];
  pictures: { path: string; label: number }[];
  input: PictureInput;
}

/**
 * A folder of a folder a class.
 *
 * @throws LloydError for a network that takes no pictures, or a folder without any
 */
export async function labelledPictures(
  folder: string,
  network: Model | QuantizedModel,
  shapes: ShapeOptions,
  settings: PictureSettings,
): Promise<LabelledPictures> {
  const { graph } = toGraphModel(isQuantized(network) ? network.model : network);
  const input = pictureInput(graph.inputs, shapes, settings, PICTURE_OPTIONS);
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause) => {
    check(false, '--data must be a folder', `${folder} (${cause.code})`, 'check the path');
  });
  const classes = entries!
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
  check(classes.length > 0, '--data must hold a folder a class', `${folder}, none in it`);
  const pictures: LabelledPictures['pictures'] = [];
  for (const [label, name] of classes.entries()) {
    for (const path of await listPictures(join(folder, name))) pictures.push({ path, label });
  }
  return { classes, pictures, input };
}

/**
 * Top-1 accuracy of a network's first output on labelled pictures.
 *
 * @param asked how many of them, evenly spread; what the time budget allows unless given
 */
export async function evaluatePictures(
  context: Context,
  runtime: Runtime,
  network: Model | QuantizedModel,
  { classes, pictures, input }: LabelledPictures,
  { asked, batch: wanted }: { asked?: number; batch: number },
) {
  const { signal, files } = context;
  const { name, layout, channels, height, width } = input;
  const batch = input.batch ?? Math.min(wanted, pictures.length, asked ?? wanted);
  const dims = layout === 'nchw' ? [batch, channels, height, width] : [batch, height, width, channels];
  const session = await compile(runtime, network, { shapes: { [name]: dims }, signal });
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const output = session.outputs[0];
    const rows = sizeOf(output.shape) / batch;
    check(
      Number.isInteger(rows) && classes.length <= rows,
      `${output.name}: the network must have a score for each of the ${classes.length} classes`,
      `[${output.shape.join(', ')}]`,
    );
    if (rows !== classes.length)
      context.note(`the network has ${rows} classes: the ${classes.length} folders are the first of them`);
    const top = async (own: LabelledPictures['pictures']) => {
      const paths = own.map(({ path }) => path);
      const tensor = await readPictures(files, paths, input, batch);
      const started = performance.now();
      const made = (await session.run({ [name]: tensor }, { signal }))[output.name] as OnnxTensor;
      const seconds = (performance.now() - started) / 1000;
      return { tops: topOne(Float32Array.from(numbersOf(made)), rows).slice(0, own.length), seconds };
    };
    // The first run pays for the driver's own compilation.
    await top(pictures.slice(0, 1));
    let count = Math.min(asked ?? pictures.length, pictures.length);
    if (asked === undefined && runtime.adapter.profile !== 'gpu') {
      const speed = batch / (await top(pictures.slice(0, batch))).seconds;
      const speeds = { float: speed, integer: speed };
      count = Math.min(count, affordableImages('cpu', speeds, { float: 1, integer: 0 }, batch));
    }
    const chosen = spreadOver(pictures, count);
    progress = createProgress(count);
    let right = 0;
    let seconds = 0;
    for (let first = 0; first < count; first += batch) {
      signal.throwIfAborted();
      progress.update(first, 'pictures');
      const own = chosen.slice(first, first + batch);
      const run = await top(own);
      seconds += run.seconds;
      right += run.tops.filter((each, i) => each === own[i].label).length;
    }
    const [accuracyLow, accuracyHigh] = wilson(right, count);
    return {
      images: count,
      accuracy: right / count,
      accuracyLow,
      accuracyHigh,
      imagesPerSecond: (Math.ceil(count / batch) * batch) / seconds,
      gpuBytes: session.gpuBytes.total,
    };
  } finally {
    progress?.stop();
    session.destroy();
  }
}
