import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ConcreteOptions } from '../graph/concrete-inputs.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { isFloat } from '../graph/ops/value.ts';
import { type FusedGraph, fuseGraph, type Layer, layerInputs } from '../lower/fuse.ts';
import type { Model } from '../model/graph.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import {
  createObserver,
  OBSERVER_METHODS,
  type Observer,
  type ObserverMethod,
  type Range,
  usesHistogram,
} from '../quantize/calibration.ts';
import { StreamingHistogram } from '../quantize/histogram.ts';
import { createPause } from '../quantize/pause.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { checkFeed, feedOf } from './feed.ts';
import { arePixels, checkFiniteImages, type Images, PIXELS } from './image-values.ts';
import { type Observe, observingProgram } from './observing-program.ts';

export type { Images };

/** Options of {@link calibrate}. */
export interface CalibrateOptions {
  /** Of observer `percentile`: how many percent of the values a range keeps; 99.999. */
  percentile?: number;
  shapes?: ShapeOptions;
  signal?: AbortSignal;
}

/** Activations are coded in int8, between their own ends. */
const CODES = { bits: 8, signed: true, scheme: 'asymmetric' } as const;
/** Images at once. */
const BATCH = 32;

/**
 * Scale and zero point of every activation: runs the fp32 model and reduces each layer's output to its range, or counts
 * it in a histogram, on the GPU. The input's are 1/255 and -128, which make a pixel its own code, where the images are
 * pixels (as bytes, or as floats that are a pixel over 255) or floats that fill half of 0 to 1; else they follow from the
 * images' own values.
 *
 * @throws LloydError for an unknown observer or a percentile out of range, no images, a NaN or an infinity in them (naming
 *   the image), or an activation that is NaN or overflows (naming the layer); the signal's reason before the next batch.
 */
export async function calibrate(
  runtime: Runtime,
  model: Model,
  samples: Calibration,
  observer: ObserverMethod = 'minMax',
  { percentile, shapes, signal }: CalibrateOptions = {},
): Promise<Map<string, ActivationQparams>> {
  check(
    OBSERVER_METHODS.includes(observer),
    `observer must be one of ${OBSERVER_METHODS.join(', ')}`,
    observer,
  );
  const isPercentile = percentile === undefined || observer === 'percentile';
  check(
    isPercentile,
    "percentile is of observer 'percentile'",
    `${percentile} for ${observer}`,
    'leave it out',
  );
  // Its options are checked before the network is compiled.
  createObserver(observer, { percentile });
  const isImages = ArrayBuffer.isView(samples);
  check(
    isImages || (Array.isArray(samples) && samples.length > 0),
    'calibration must be images, or a list of inputs by name',
    samples,
  );
  const feeds = isImages ? [] : checkedFeeds(model, samples);
  const sizes: ConcreteOptions = isImages ? { batch: 1, shapes } : { shapes: shapesOf(feeds[0]) };
  const single = fuseGraph(model, sizes);
  const { inputs } = single.graph;
  let perImage = 0;
  let total = samples.length;
  if (isImages) {
    check(
      inputs.length === 1,
      'images calibrate a network of one input',
      inputs.map(({ name }) => name).join(', '),
      'pass calibration: [{ name: tensor, ... }, ...]',
    );
    const { shape } = inputs[0];
    perImage = shape.reduce((a, b) => a * b, 1) / (shape[0] || 1);
    total = samples.length / perImage;
    check(
      Number.isInteger(total) && total >= 1,
      `calibration must hold whole images of ${shape.slice(1).join(' x ')} values`,
      samples.length,
    );
    checkFiniteImages('calibration images', samples, perImage);
  }
  // Batches of one size, so that few images are seen twice.
  const batch = isImages ? Math.ceil(total / Math.ceil(total / BATCH)) : 1;
  const fused = isImages && batch > 1 ? fuseGraph(model, { batch, shapes }) : single;
  // A graph may fix how many images it takes.
  const own = isImages ? (fused.graph.inputs[0].shape[0] ?? 1) : 1;
  check(
    own <= total,
    `calibration must hold at least the ${own} images that the network takes at once`,
    `${total} images`,
  );
  const counting = usesHistogram(observer);
  const observers = new Map<string, Observer>();
  /** What is infinite in any sample is no codes': what reads and leaves it stays float. */
  const infinite = new Set<string>();
  const observe: Observe = (name, batch) => {
    if (batch === null) {
      infinite.add(name);
      return;
    }
    const own = observers.get(name) ?? createObserver(observer, { percentile });
    observers.set(name, own);
    const isEmpty = batch instanceof StreamingHistogram ? batch.total === 0 : batch.length === 0;
    // What has no elements has the range of 0.
    own.observe(isEmpty ? Float32Array.of(0) : batch);
  };
  const observeInput = (name: string, values: Float32Array) =>
    observe(name, values.every(Number.isFinite) ? values : null);
  const pixels = isImages && arePixels(samples);
  const observed = async (
    of: FusedGraph,
    run: (program: Awaited<ReturnType<typeof observingProgram>>) => Promise<void>,
  ) => {
    const program = await observingProgram(runtime, of, counting, signal);
    try {
      await run(program);
    } finally {
      program.destroy();
    }
  };
  if (isImages) {
    await observed(fused, async ({ pass }) => {
      for (let first = 0; first < total; first += own) {
        signal?.throwIfAborted();
        // A last partial batch starts earlier instead: seeing an image twice doesn't move its extremes.
        const start = Math.max(0, Math.min(first, total - own));
        const chunk = samples.subarray(start * perImage, (start + own) * perImage);
        if (!pixels) observeInput(inputs[0].name, chunk as Float32Array);
        await pass([chunk], observe);
      }
    });
  }
  // Samples of one size share a program.
  const bySize = new Map<string, Readonly<Record<string, OnnxTensor>>[]>();
  for (const feed of feeds) {
    const size = inputs.map(({ name }) => feed[name].dims).join(' ');
    const alike = bySize.get(size) ?? [];
    bySize.set(size, alike);
    alike.push(feed);
  }
  for (const alike of bySize.values()) {
    const first = alike[0] === feeds[0];
    await observed(first ? fused : fuseGraph(model, { shapes: shapesOf(alike[0]) }), async (program) => {
      for (const feed of alike) {
        signal?.throwIfAborted();
        const given = feedOf(program.inputs, feed);
        for (const [i, { name, dtype }] of inputs.entries()) {
          if (isFloat(dtype)) observeInput(name, given[i] as Float32Array);
        }
        await program.pass(given, observe);
      }
    });
  }
  const ranges = new Map<string, Range>();
  const pause = createPause(signal);
  for (const [name, own] of observers) {
    if (infinite.has(name)) continue;
    const { minimum, maximum } = own.range(CODES);
    ranges.set(name, [minimum, maximum]);
    // A search of the best ends takes a tenth of a second.
    await pause();
  }
  const entered = inputs
    .filter(({ name, dtype }) => isFloat(dtype) && (pixels || ranges.has(name)))
    .map(({ name }) => ({ name, qparams: inputQparams(ranges.get(name)) }));
  const assigned = assignQparams(entered, fused, ranges);
  return new Map([...assigned].map(([name, qparams]) => [fused.origin(name), qparams]));
}

const shapesOf = (feed: Readonly<Record<string, OnnxTensor>>): ShapeOptions =>
  Object.fromEntries(Object.entries(feed).map(([name, { dims }]) => [name, dims]));

/** Inputs by name, each list of them as the network takes them. */
function checkedFeeds(model: Model, samples: Exclude<Calibration, Images>) {
  const { inputs } = toGraphModel(model).graph;
  for (const [i, feed] of samples.entries()) {
    const label = `calibration sample ${i}`;
    check(
      typeof feed === 'object' && feed !== null && !ArrayBuffer.isView(feed),
      `${label} must be inputs by name`,
      feed,
      'pass calibration: [{ name: tensor, ... }, ...]',
    );
    checkFeed(inputs, feed, `${label}: `);
  }
  return samples;
}

/**
 * The shapes that inputs by name say; none of images.
 *
 * @throws LloydError for inputs that contradict the network, naming the sample
 */
export function calibratedShapes(model: Model, samples: Calibration | undefined): ShapeOptions | undefined {
  if (!Array.isArray(samples) || samples.length === 0) return undefined;
  return shapesOf(checkedFeeds(model, samples)[0]);
}

/** What calibrates: images of a network of one input, or its inputs by name, once or more often, of any sizes that it takes. */
export type Calibration = Images | readonly Readonly<Record<string, OnnxTensor>>[];

/** A pixel's, where images are pixels or their range is more than half of a pixel's: that costs less than a bit. */
function inputQparams(range: Range | undefined): ActivationQparams {
  return !range || (range[0] >= 0 && range[1] > 0.5 && range[1] <= 1) ? PIXELS : qparamsOf(range);
}

/**
 * Scale and zero point of every activation from their ranges. Pools pass their input's on. What only a concatenation
 * reads has the concatenation's: it is rounded once instead of twice, and concatenating copies codes. What was only ever
 * zero is zero by any scale, so that it takes the scale of the sum or concatenation that reads it.
 */
function assignQparams(
  inputs: readonly { name: string; qparams: ActivationQparams }[],
  fused: FusedGraph,
  ranges: ReadonlyMap<string, Range>,
): Map<string, ActivationQparams> {
  const { layers } = fused;
  const isPool = (layer: Layer) => layer.kind === 'maxPool' || layer.kind === 'averagePool';
  const own = new Map([...ranges].map(([name, range]) => [name, qparamsOf(range)]));
  const given = new Map(inputs.map(({ name, qparams }) => [name, qparams]));
  for (const layer of [...layers].reverse()) {
    if (layer.kind !== 'concat' && layer.kind !== 'add') continue;
    for (const name of layer.inputs) {
      if (!own.has(name) || given.has(name)) continue;
      const readers = layers.filter((other) => layerInputs(other).includes(name));
      const dead = ranges.get(name)!.every((end) => end === 0);
      if (dead || (layer.kind === 'concat' && readers.length === 1)) own.set(name, own.get(layer.output)!);
    }
  }
  const activations = new Map(given);
  for (const layer of layers) {
    const names = layer.kind === 'operator' ? layer.node.outputs : [layer.output];
    for (const name of names) {
      const qparams = isPool(layer) ? activations.get(layerInputs(layer)[0]) : own.get(name);
      if (qparams) activations.set(name, qparams);
    }
  }
  return activations;
}

/** Smallest normal float32: below it adapters may take a scale for zero. */
const SMALLEST_SCALE = 2 ** -126;
/**
 * The scale of an activation that was only ever zero: small, because the next layer's biases are multiples of it, and
 * not so small that they leave int32 beside weights of any usual size.
 */
const DEAD_SCALE = 2 ** -20;

/** int8 qparams of a range widened to include 0, so that padding and ReLU have an exact code (Jacob et al., 2018). */
export function qparamsOf([low, high]: Range): ActivationQparams {
  const bottom = Math.min(0, low);
  const top = Math.max(0, high);
  const scale = top > bottom ? Math.fround(Math.max((top - bottom) / 255, SMALLEST_SCALE)) : DEAD_SCALE;
  const zeroPoint = Math.max(-128, Math.min(127, roundHalfToEven(-128 - bottom / scale)));
  return { scale, zeroPoint };
}
