import { check } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { reduceMinMaxKernel } from '../kernels/reduce-min-max.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { buildExecutor } from './executor.ts';
import { fuseGraph, type Layer, layerInputs } from './fuse.ts';
import type { Model } from './graph.ts';
import { arePixels, checkFiniteImages, type Images, PIXELS } from './image-values.ts';
import { FINITE, type Step } from './lower.ts';
import { lowerFloat } from './lower-float.ts';
import type { ActivationQparams } from './precision.ts';

export type { Images };

/** How ranges are observed: the extremes seen, or their moving average over batches (momentum 0.9). */
export type Observer = 'minMax' | 'movingAverage';

/**
 * Scale and zero point of every activation: runs the fp32 model and reduces each layer's output to its range on the
 * GPU. The input's are 1/255 and -128, which make a pixel its own code, where the images are pixels (as bytes, or as
 * floats that are a pixel over 255) or floats that fill half of 0 to 1; else they follow from the images' own range.
 *
 * @throws LloydError for no images, a NaN or an infinity in them (naming the image), or an activation that is NaN or
 *   overflows (naming the layer); the signal's reason before the next batch.
 */
export async function calibrate(
  runtime: Runtime,
  model: Model,
  images: Images,
  observer: Observer = 'minMax',
  signal?: AbortSignal,
): Promise<Map<string, ActivationQparams>> {
  const { input } = model.graph;
  const perImage = input.height * input.width * input.channels;
  const total = images.length / perImage;
  check(
    Number.isInteger(total) && total >= 1,
    `calibration must hold whole images of ${input.height} x ${input.width} x ${input.channels} values`,
    images.length,
  );
  check(
    observer === 'minMax' || observer === 'movingAverage',
    "observer must be 'minMax' or 'movingAverage'",
    observer,
  );
  checkFiniteImages('calibration images', images, perImage);
  const batch = Math.min(32, total);
  const lowered = lowerFloat(runtime, model, new Map(), batch);
  const layers = fuseGraph(model);
  const watched = layers.map((layer) => layer.output);
  const steps: Step[] = [];
  const outputOf = ({ operands: { output } }: Step) => (output && 'tensor' in output ? output : undefined);
  for (const [index, step] of lowered.steps.entries()) {
    steps.push(step);
    const written = outputOf(step);
    if (!written || !watched.includes(written.tensor)) continue;
    // A concatenation is whole after its last dispatch.
    if (lowered.steps.slice(index + 1).some((later) => outputOf(later)?.tensor === written.tensor)) continue;
    steps.push({
      name: step.name,
      kernel: reduceMinMaxKernel as unknown as Kernel,
      specialization: {},
      operands: {
        input: written,
        minimum: { tensor: `${written.tensor} minimum`, byteLength: 4 },
        maximum: { tensor: `${written.tensor} maximum`, byteLength: 4 },
      },
      params: { count: written.byteLength / 4, axisSize: 1, axisStride: written.byteLength / 4, slices: 1 },
      macs: 0,
      shape: step.shape,
    });
  }
  const results = watched.flatMap((name) => [`${name} minimum`, `${name} maximum`]);
  const executor = await buildExecutor(runtime, { ...lowered, steps }, new Set(results), signal);
  const ranges = new Map<string, Range>();
  const observe = (name: string, now: Range) => {
    ranges.set(name, observeRange(observer, ranges.get(name), now));
  };
  const pixels = arePixels(images);
  try {
    for (let first = 0; first < total; first += batch) {
      signal?.throwIfAborted();
      // A last partial batch starts earlier instead: seeing an image twice doesn't move its extremes.
      const start = Math.max(0, Math.min(first, total - batch));
      const chunk = images.subarray(start * perImage, (start + batch) * perImage);
      const { call, data } = executor.entry(chunk);
      guardOf(runtime.device).note('the calibration images', () => executor.write(data));
      runtime.submit([call, ...executor.calls]);
      if (!pixels) observe(input.name, extremes(chunk));
      for (const name of watched) {
        const [low, high] = await Promise.all(
          ['minimum', 'maximum'].map(async (end) => {
            const { buffer } = executor.arena.buffer({ tensor: `${name} ${end}`, byteLength: 4 });
            return new Float32Array(await runtime.read(buffer, 4))[0];
          }),
        );
        // The kernels clamp to what is finite: an activation at either end has overflowed.
        check(
          low > -FINITE && high < FINITE,
          `${name}: activations must be finite to be calibrated`,
          `${low} to ${high}`,
          'check the weights and the images',
        );
        observe(name, [low, high]);
      }
    }
  } finally {
    executor.destroy();
  }
  return assignQparams({ name: input.name, qparams: inputQparams(ranges.get(input.name)) }, layers, ranges);
}

type Range = readonly [low: number, high: number];

/** A range after one more batch: the extremes of all, or moved a tenth of the way towards the batch's. */
export function observeRange(observer: Observer, seen: Range | undefined, now: Range): Range {
  if (!seen) return now;
  if (observer === 'minMax') return [Math.min(seen[0], now[0]), Math.max(seen[1], now[1])];
  return [seen[0] * 0.9 + now[0] * 0.1, seen[1] * 0.9 + now[1] * 0.1];
}

function extremes(values: Images): Range {
  let [low, high] = [values[0], values[0]];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return [low, high];
}

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
  input: { name: string; qparams: ActivationQparams },
  layers: readonly Layer[],
  ranges: ReadonlyMap<string, Range>,
): Map<string, ActivationQparams> {
  const isPool = (layer: Layer) => layer.kind === 'maxPool' || layer.kind === 'averagePool';
  const own = new Map(layers.map(({ output }) => [output, qparamsOf(ranges.get(output)!)]));
  for (const layer of [...layers].reverse()) {
    if (layer.kind !== 'concat' && layer.kind !== 'add') continue;
    for (const name of layer.inputs) {
      if (!own.has(name)) continue;
      const readers = layers.filter((other) => layerInputs(other).includes(name));
      const dead = ranges.get(name)!.every((end) => end === 0);
      if (dead || (layer.kind === 'concat' && readers.length === 1)) own.set(name, own.get(layer.output)!);
    }
  }
  const activations = new Map([[input.name, input.qparams]]);
  for (const layer of layers) {
    activations.set(
      layer.output,
      isPool(layer) ? activations.get(layerInputs(layer)[0])! : own.get(layer.output)!,
    );
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
