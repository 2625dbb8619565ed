import { fuseGraph } from '../../src/lower/fuse.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { type ActivationQparams, type QuantizedModel } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import type { BenchCase, BenchContext, Build, Opened, Size, Subject } from '../types.ts';
import activations from './vgg-activations.json';

const BATCHES: Record<Size, readonly number[]> = {
  tiny: [1],
  quick: [1, 4],
  standard: [32, 1],
  gpu: [1000, 32, 1],
};
const PRECISIONS = ['fp32', 'kmeans-4', 'int8', 'int4'] as const;
type Precision = (typeof PRECISIONS)[number];

/** The whole network, pixels in and logits out, at every precision and batch size. */
export function vggCases(size: Size): BenchCase[] {
  const precisions = size === 'tiny' ? (['fp32', 'int8'] as const) : PRECISIONS;
  const batches = BATCHES[size];
  const subjects = batches.flatMap((batch) => precisions.map((precision) => vggSubject(precision, batch)));
  const forward: BenchCase = { name: 'vgg-forward', subjects, peers: { kind: 'vgg', batches } };
  if (size !== 'gpu') return [forward];
  const stream = precisions.map((precision) => vggSubject(precision, 1000, 10_000));
  return [forward, { name: 'vgg-stream(images=10000)', subjects: stream }];
}

/** What a tuned entry says of itself. */
export const TUNED = 'kernels tuned on this adapter';

/** Our VGG at one precision and batch; more images than a batch overlap their transfers with compute. */
function vggSubject(precision: Precision, batch: number, images = batch): Subject {
  return {
    implementation: 'lloyd',
    precision,
    batch,
    open: (context) => openVgg(context, precision, batch, images),
  };
}

async function openVgg(
  context: BenchContext,
  precision: Precision,
  batch: number,
  images: number,
): Promise<Opened> {
  const { tune } = context;
  const build = await buildOf(context);
  const session = await build.compile(build.runtime, await quantizedVgg(context, precision), { batch, tune });
  const pixels = await context.images(images);
  const run = () => session.run(pixels);
  const integer = precision === 'int8' || precision === 'int4';
  return {
    work: { amount: images, unit: 'images/s' },
    bound: {
      ceiling: integer ? 'int8Gops' : 'f32GFlops',
      amount: 2 * images * macsPerImage(await context.model()),
    },
    run,
    logits: run,
    // The logits are int32 accumulators times one float each: exact, so their bits are the integers' own.
    ...(integer && { output: run }),
    ...(tune && { note: TUNED }),
    close: () => session.destroy(),
  };
}

export function macsPerImage(model: ImageModel): number {
  let macs = 0;
  for (const layer of fuseGraph(model).layers) {
    if (layer.kind === 'conv2d') macs += layer.convShape.height * layer.convShape.width * layer.weight.length;
  }
  return macs;
}

async function buildOf(context: BenchContext): Promise<Build> {
  return (
    context.build?.() ?? { quantizeModel, compile, runtime: context.runtime, model: await context.model() }
  );
}

const quantized = new WeakMap<BenchContext, Map<Precision, Promise<ImageModel | QuantizedModel>>>();

/** The VGG at a precision, quantized once a run. */
export function quantizedVgg(
  context: BenchContext,
  precision: Precision,
): Promise<ImageModel | QuantizedModel> {
  const known = quantized.get(context) ?? new Map<Precision, Promise<ImageModel | QuantizedModel>>();
  quantized.set(context, known);
  let promise = known.get(precision);
  if (!promise) {
    promise = quantize(context, precision);
    known.set(precision, promise);
  }
  return promise;
}

async function quantize(context: BenchContext, precision: Precision): Promise<ImageModel | QuantizedModel> {
  const { quantizeModel, runtime, model } = await buildOf(context);
  if (precision === 'fp32') return model;
  if (precision === 'kmeans-4') return quantizeModel(runtime, model, { method: 'kmeans', bits: 4 });
  const bits = precision === 'int8' ? 8 : 4;
  const calibration = await context.images(1);
  const own = await quantizeModel(runtime, model, { method: 'linear', bits, calibration });
  // Ranges observed in floats differ in their last bits from adapter to adapter, and every integer after them. The
  // recorded ones (256 training images) give the same integers everywhere, so that hashes can be compared.
  return { ...own, activations: new Map(Object.entries(activations as Record<string, ActivationQparams>)) };
}
