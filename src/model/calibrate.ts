import { check } from '../gpu/errors.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { reduceMinMaxKernel } from '../kernels/reduce-min-max.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { buildExecutor } from './executor.ts';
import { fuseGraph, type Layer, layerInputs } from './fuse.ts';
import type { Model } from './graph.ts';
import type { Step } from './lower.ts';
import { lowerFloat } from './lower-float.ts';
import type { ActivationQparams } from './precision.ts';

/** NHWC images: Uint8Array of pixels 0-255, or Float32Array 0-1. */
export type Images = Uint8Array | Float32Array;

/** How ranges are observed: the extremes seen, or their moving average over batches (momentum 0.9). */
export type Observer = 'minMax' | 'movingAverage';

/**
 * Scale and zero point of every activation: runs the fp32 model and reduces each layer's output to its range on the
 * GPU. The input's are fixed at 1/255 and -128, which makes a pixel its own code.
 *
 * @throws LloydError for no images, or an activation that is NaN or infinite (naming the layer).
 */
export async function calibrate(
  runtime: Runtime,
  model: Model,
  images: Images,
  observer: Observer = 'minMax',
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
  const executor = await buildExecutor(runtime, { ...lowered, steps }, new Set(results));
  const ranges = new Map<string, [number, number]>();
  try {
    for (let first = 0; first < total; first += batch) {
      // A last partial batch starts earlier instead: seeing an image twice doesn't move its extremes.
      const start = Math.max(0, Math.min(first, total - batch));
      const { call, data } = executor.entry(images.subarray(start * perImage, (start + batch) * perImage));
      executor.write(data);
      runtime.submit([call, ...executor.calls]);
      for (const name of watched) {
        const [low, high] = await Promise.all(
          ['minimum', 'maximum'].map(async (end) => {
            const { buffer } = executor.arena.buffer({ tensor: `${name} ${end}`, byteLength: 4 });
            return new Float32Array(await runtime.read(buffer, 4))[0];
          }),
        );
        check(
          Number.isFinite(low) && Number.isFinite(high),
          `${name}: activations must be finite to be calibrated`,
          `${low} to ${high}`,
          'check the weights and the images',
        );
        const seen = ranges.get(name);
        const mix = (old: number, now: number, extreme: number) =>
          observer === 'minMax' ? extreme : old * 0.9 + now * 0.1;
        ranges.set(
          name,
          seen
            ? [mix(seen[0], low, Math.min(seen[0], low)), mix(seen[1], high, Math.max(seen[1], high))]
            : [low, high],
        );
      }
    }
  } finally {
    executor.destroy();
  }
  return assignQparams(input.name, layers, ranges);
}

/**
 * Scale and zero point of every activation from their ranges. Pools pass their input's on. What only a concatenation
 * reads has the concatenation's: it is rounded once instead of twice, and concatenating copies codes.
 */
function assignQparams(
  input: string,
  layers: readonly Layer[],
  ranges: ReadonlyMap<string, readonly [number, number]>,
): Map<string, ActivationQparams> {
  const isPool = (layer: Layer) => layer.kind === 'maxPool' || layer.kind === 'averagePool';
  const own = new Map(layers.map(({ output }) => [output, qparamsOf(ranges.get(output)!)]));
  for (const layer of [...layers].reverse()) {
    if (layer.kind !== 'concat') continue;
    for (const name of layer.inputs) {
      const readers = layers.filter((other) => layerInputs(other).includes(name));
      if (own.has(name) && readers.length === 1) own.set(name, own.get(layer.output)!);
    }
  }
  const activations = new Map<string, ActivationQparams>([
    [input, { scale: Math.fround(1 / 255), zeroPoint: -128 }],
  ]);
  for (const layer of layers) {
    activations.set(
      layer.output,
      isPool(layer) ? activations.get(layerInputs(layer)[0])! : own.get(layer.output)!,
    );
  }
  return activations;
}

/** int8 qparams of a range widened to include 0, so that padding and ReLU have an exact code (Jacob et al., 2018). */
export function qparamsOf([low, high]: readonly [number, number]): ActivationQparams {
  const bottom = Math.min(0, low);
  const top = Math.max(0, high);
  const scale = Math.fround(Math.max(top - bottom, 5e-7) / 255);
  const zeroPoint = Math.max(-128, Math.min(127, roundHalfToEven(-128 - bottom / scale)));
  return { scale, zeroPoint };
}
