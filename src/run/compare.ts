import type { RequantizeRule } from '../conv/requantize.ts';
import { check, DeviceLostError } from '../gpu/errors.ts';
import { type AdapterReport, checkRuntime, type Runtime } from '../gpu/runtime.ts';
import { checkNetwork } from '../model/check-network.ts';
import type { ImageModel, Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import type { Images } from './calibrate.ts';
import { modelFileBytes } from './file.ts';
import { quantizeModel } from './precision.ts';
import { compile } from './session.ts';
import { countRow, type RowCounts, ratesOf } from './tally.ts';
import type { TuneOptions } from './tune.ts';

/**
 * Names of the rows, in the order of the table.
 *
 * @example
 * const rows = compareRowNames.filter((name) => name.startsWith('kmeans'));
 */
export const compareRowNames = [
  'fp32',
  'kmeans-8',
  'kmeans-4',
  'kmeans-2',
  'kmeans-4-qat',
  'kmeans-2-qat',
  'linear-8',
  'linear-4',
  'linear-2',
  'linear-4-qat',
  'linear-2-qat',
] as const;

/** One of {@link compareRowNames}. */
export type CompareRowName = (typeof compareRowNames)[number];

const NONE = new Float32Array(0);

/** One precision of the comparison; a row that has not been trained carries no accuracy. */
export interface CompareRow {
  name: CompareRowName;
  method: 'fp32' | 'kmeans' | 'linear';
  bits: number;
  status: 'ok' | 'not trained';
  /** The command that trains a `not trained` row. */
  train?: string;
  /** Fraction of images whose top-1 class is the label, with Wilson's 95 % interval. */
  accuracy?: number;
  accuracyLow?: number;
  accuracyHigh?: number;
  /** Fraction of images with the same top-1 class as fp32. */
  agreement?: number;
  /** Signal to quantization noise of the logits against fp32, in dB; null for fp32 itself. */
  logitSqnrDb?: number | null;
  /** The lab's count: every parameter at the target width. */
  sizeBytes: number;
  /** What the written file takes, codebooks and scales included. */
  fileBytes?: number;
  gpuBytes?: number;
  imagesPerSecond?: number;
  /** What the rates come from: adding up, exactly, over parts of the images. */
  counts?: RowCounts;
}

/** What `lloyd compare --json` writes. */
export interface Comparison {
  adapter: AdapterReport;
  images: number;
  model: string;
  rows: CompareRow[];
}

/** What a comparison has measured so far: all that another call needs to end as this one would have. */
export interface CompareState {
  /** The finished rows, in the order of the table. */
  rows: readonly CompareRow[];
  /** fp32's logits, images x classes; empty until that row is finished. */
  reference: Float32Array;
  /** The row under way, and the logits of its first images: whole batches of them. */
  current?: { name: CompareRowName; images: number; logits: Float32Array };
}

/** Options of {@link compareModel}. */
export interface CompareOptions {
  /** Training images that fix the activation ranges of the integer rows. */
  calibration: Images;
  /** Which rows, default all, in the order they run; fp32 always runs first, the others are measured against it. */
  rows?: readonly string[];
  /** Fine-tuned models, by row name. */
  trained?: Partial<Record<CompareRowName, QuantizedModel>>;
  batch?: number;
  requantize?: RequantizeRule;
  /** Called as each row is ready; a row that ran comes with its logits and the network they are of. */
  onRow?: (
    row: CompareRow,
    measured?: { logits: Float32Array; network: ImageModel | QuantizedModel },
  ) => void;
  /** Measure which kernels are fastest for each row first, as `compile` does. */
  tune?: TuneOptions;
  /**
   * Called once fp32 is prepared and has run its first batch, with the seconds that took: of how many images, and of how
   * many to calibrate with, the comparison is then to be. Images that have run stay. Not called for what is resumed.
   */
  onSpeed?: (speed: { prepareSeconds: number; secondsPerImage: number }) => {
    images: number;
    calibration: number;
  };
  /** Called before each row that is to be measured; one for which it returns false is left out, but for fp32. */
  onStart?: (name: CompareRowName) => boolean;
  /** Called after each batch, with the logits of the row's images so far. */
  onProgress?: (progress: { row: string; done: number; total: number; logits: Float32Array }) => void;
  /** Called with each row's network before it is run. */
  onNetwork?: (name: CompareRowName, network: ImageModel | QuantizedModel) => void;
  /** Called, and waited for, after every row and every few batches within one. */
  onState?: (state: CompareState) => void | Promise<void>;
  /**
   * What an earlier call, of the same model, images and options, gave to `onState`: its rows are taken as they are,
   * the one under way goes on from where it was.
   */
  resume?: CompareState;
  signal?: AbortSignal;
  /**
   * Asked for another runtime when the device is lost; the row under way begins again on it, the rows before stay.
   * Throw the loss to give up. Without it the loss is thrown.
   */
  onLost?: (loss: DeviceLostError) => Promise<Runtime>;
}

/**
 * Runs one model at every precision on the same images.
 *
 * @param images N x height x width x channels pixels, 0-255.
 * @param labels N classes.
 * @returns accuracy with its interval, agreement, logit SQNR, sizes and speed, a row a precision, in the table's order.
 * @throws LloydError for unknown row names, labels that don't match the images, or what `compile` throws.
 * @example
 * const { rows } = await compareModel(runtime, model, images, labels, { calibration });
 * console.table(rows.map(({ name, accuracy, sizeBytes }) => ({ name, accuracy, sizeBytes })));
 */
export async function compareModel(
  first: Runtime,
  model: ImageModel,
  images: Uint8Array,
  labels: Uint8Array,
  options: CompareOptions,
): Promise<Comparison> {
  checkRuntime(first);
  checkNetwork(model);
  let runtime = first;
  const { input } = model.graph;
  const perImage = input.height * input.width * input.channels;
  const extent: Extent = { total: labels.length, calibration: options.calibration, perImage };
  check(
    labels.length >= 1 && images.length === labels.length * perImage,
    `images must hold ${perImage} values for each of the labels`,
    `${images.length} values for ${labels.length} labels`,
  );
  const wanted = options.rows ?? compareRowNames;
  for (const name of wanted) {
    check(
      (compareRowNames as readonly string[]).includes(name),
      `rows are ${compareRowNames.join(', ')}`,
      name,
      'choose from these',
    );
  }
  const { resume } = options;
  const measuredBefore = new Map(resume?.rows.map((row) => [row.name, row]));
  const rows: CompareRow[] = [];
  // Activation ranges are the fp32 model's, whatever the width of the weights: one calibration serves every row.
  let activations: QuantizedModel['activations'] | undefined;
  let reference = resume && resume.reference.length > 0 ? resume.reference : undefined;
  check(
    measuredBefore.has('fp32') ? reference : measuredBefore.size === 0 && !reference,
    'what is resumed must have the fp32 row together with its logits',
    [...measuredBefore.keys()].join(', '),
    'pass what onState was given',
  );
  const add = (row: CompareRow) => {
    rows.push(row);
    rows.sort((a, b) => compareRowNames.indexOf(a.name) - compareRowNames.indexOf(b.name));
  };
  for (const name of new Set(['fp32', ...wanted] as CompareRowName[])) {
    options.signal?.throwIfAborted();
    const before = measuredBefore.get(name);
    if (before?.status === 'ok') {
      add(before);
      continue;
    }
    const takes = options.onStart?.(name) ?? true;
    if (!takes && name !== 'fp32') continue;
    const row = describeRow(name, model);
    const attempt = async () => {
      const { calibration } = extent;
      const network = await networkOf(runtime, model, name, { ...options, calibration }, activations);
      if (!network) return network;
      options.onNetwork?.(name, network);
      const keep = (current: { images: number; logits: Float32Array }) =>
        options.onState?.({ rows: [...rows], reference: reference ?? NONE, current: { name, ...current } });
      return { network, ...(await measure(runtime, network, images, extent, name, options, keep)) };
    };
    let measured: Awaited<ReturnType<typeof attempt>> | undefined;
    while (measured === undefined) {
      try {
        measured = await attempt();
      } catch (error) {
        if (!(error instanceof DeviceLostError) || !options.onLost) throw error;
        runtime = await options.onLost(error);
      }
    }
    if (!measured) {
      const missing = { ...row, status: 'not trained', train: trainCommand(name) } as const;
      add(missing);
      options.onRow?.(missing);
      continue;
    }
    const { network } = measured;
    if (/^linear-\d$/.test(name) && isQuantized(network)) activations = network.activations;
    reference ??= measured.logits;
    const counts = countRow(measured.logits, reference, labels.subarray(0, extent.total));
    const finished: CompareRow = {
      ...row,
      ...ratesOf(counts, extent.total, name === 'fp32'),
      fileBytes: modelFileBytes(network),
      gpuBytes: measured.gpuBytes,
      imagesPerSecond: measured.imagesPerSecond,
      counts,
    };
    add(finished);
    options.onRow?.(finished, { logits: measured.logits, network });
    await options.onState?.({ rows: [...rows], reference });
  }
  return { adapter: runtime.adapter, images: extent.total, model: model.graph.name, rows };
}

/** What the rows are measured on; `onSpeed` may make it less. */
interface Extent {
  total: number;
  calibration: Images;
  perImage: number;
}

function describeRow(name: CompareRowName, model: ImageModel): CompareRow {
  const [method, width] = name.split('-');
  const bits = name === 'fp32' ? 32 : Number(width);
  return {
    name,
    method: method as CompareRow['method'],
    bits,
    status: 'ok',
    sizeBytes: labSizeBytes(model, bits),
  };
}

/**
 * The lab's model size: every parameter, BN affine and biases included, at `bits`; statistics, codebooks and integers
 * (a graph's shapes and axes) not.
 *
 * @example
 * labSizeBytes(vgg(), 4) / 2 ** 20; // 4.400...: MiB
 */
export function labSizeBytes(model: Model, bits: number): number {
  let count = 0;
  for (const [name, { dtype, dims }] of model.parameters) {
    if (!dtype.startsWith('float') || /running_(mean|var)$|num_batches_tracked$/.test(name)) continue;
    count += dims.reduce((a, b) => a * b, 1);
  }
  return (count * bits) / 8;
}

function trainCommand(name: CompareRowName): string {
  const [method, bits] = name.split('-');
  return `lloyd finetune --method ${method} --bits ${bits}`;
}

async function networkOf(
  runtime: Runtime,
  model: ImageModel,
  name: CompareRowName,
  options: CompareOptions,
  activations: QuantizedModel['activations'] | undefined,
) {
  const trained = options.trained?.[name];
  if (trained) return trained;
  if (name.endsWith('-qat')) return null;
  if (name === 'fp32') return model;
  const [method, bits] = name.split('-');
  return quantizeModel(runtime, model, {
    method: method as 'kmeans' | 'linear',
    bits: Number(bits),
    calibration: options.calibration,
    activations,
    requantize: options.requantize,
    signal: options.signal,
  });
}

async function measure(
  runtime: Runtime,
  network: ImageModel | QuantizedModel,
  images: Uint8Array,
  extent: Extent,
  row: string,
  options: CompareOptions,
  keep: (current: { images: number; logits: Float32Array }) => void | Promise<void>,
) {
  let { total } = extent;
  const { perImage } = extent;
  const { batch = Math.min(32, Math.ceil(total / 2)), tune, onProgress, onSpeed, signal, resume } = options;
  const begun = performance.now();
  const session = await compile(runtime, network, { batch, tune, signal });
  try {
    const prepareSeconds = (performance.now() - begun) / 1000;
    let logits = new Float32Array(total * session.classes);
    // A twentieth at once lets uploads overlap with compute; where the CPU computes nothing overlaps, and a cancel waits.
    const twentieth = Math.ceil(total / 20 / batch) * batch;
    const stride = runtime.adapter.profile === 'cpu' ? batch : Math.max(batch, twentieth);
    const current = resume?.current?.name === row ? resume.current : { images: 0, logits: NONE };
    const start = current.images;
    const cure = 'pass what onState was given for these images';
    check(
      start % batch === 0 && start < total && current.logits.length === start * session.classes,
      `the row that is gone on with must have logits of whole batches, of fewer than ${total} images`,
      `${current.logits.length} values for ${start} images`,
      cure,
    );
    check(
      !resume?.reference.length || resume.reference.length === logits.length,
      'what is resumed must have the fp32 logits of all images',
      `${resume?.reference.length} values for ${total} images`,
      cure,
    );
    logits.set(current.logits);
    let seconds = 0;
    let timed = 0;
    for (let first = start; first < total; first += stride) {
      signal?.throwIfAborted();
      const count = Math.min(stride, total - first);
      const started = performance.now();
      logits.set(
        await session.run(images.subarray(first * perImage, (first + count) * perImage), { signal }),
        first * session.classes,
      );
      const took = (performance.now() - started) / 1000;
      const done = first + count;
      if (onSpeed && row === 'fp32' && first === 0) {
        const chosen = onSpeed({ prepareSeconds, secondsPerImage: took / count });
        total = extent.total = Math.max(done, Math.min(total, chosen.images));
        extent.calibration = extent.calibration.subarray(0, chosen.calibration * perImage);
        logits = logits.subarray(0, total * session.classes);
      }
      // The first batch pays for the driver's own compilation, which a second run would not: it counts only alone.
      if (first > start || total - start <= stride) {
        seconds += took;
        timed += count;
      }
      const soFar = logits.subarray(0, done * session.classes);
      onProgress?.({ row, done, total, logits: soFar });
      if (done < total) await keep({ images: done, logits: soFar });
    }
    return { logits, imagesPerSecond: timed / seconds, gpuBytes: session.gpuBytes.total };
  } finally {
    session.destroy();
  }
}
