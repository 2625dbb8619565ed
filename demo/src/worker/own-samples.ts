import { type GraphModel, LloydError, type ShapeOptions } from 'lloyd';
import { CIFAR10_IMAGE_BYTES } from 'lloyd/io';
import { seeded } from '../../../bench/random.ts';
import { concreteInputs } from '../../../src/graph/concrete-inputs.ts';
import { sizeOf } from '../../../src/graph/ops/tensors.ts';
import { fromWords } from '../../../src/graph/ops/value.ts';
import { type Pixels, pixelsOf } from '../../../src/reference/preprocess-image.ts';
import type { Feed } from '../../../src/run/activation-errors.ts';
import {
  checkPictureSettings,
  MOST_PIXELS,
  type PictureInput,
  type PictureWords,
  pictureInput,
  pictureTensor,
  spreadOver,
} from '../../../src/run/picture-input.ts';
import { resample } from '../../../src/run/resample.ts';
import type { SampleRequest } from '../protocol.ts';
import { many } from '../text.ts';
import type { State } from './state.ts';

/** What the settings are called on the page. */
const WORDS: PictureWords = {
  size: 'Size',
  mean: 'Mean',
  std: 'Deviation',
  layout: 'Layout',
  otherwise: 'choose synthetic inputs',
};
const SYNTHETIC = 4;
const MOST_PICTURES = 64;
const SEED = 1;
const SIDE = 32;

/** What a network is run on, calibrated and checked with. */
export interface OwnSamples {
  /** Tells one request from another. */
  key: string;
  /** For people: `12 pictures`. */
  what: string;
  feeds: readonly Feed[];
  /** The inputs' shapes, as the samples have them. */
  shapes: ShapeOptions;
}

/** The same for requests of the same files and settings. */
export const keyOf = ({ files, ...request }: SampleRequest) =>
  JSON.stringify([request, files.map(({ name, size, lastModified }) => [name, size, lastModified])]);

/**
 * Makes the inputs that a network is run on.
 *
 * @throws LloydError for settings that don't fit the network's input, and files that are no pictures
 */
export async function makeSamples(
  { graph }: GraphModel,
  request: SampleRequest,
  state: Pick<State, 'calibration' | 'test' | 'runtime'>,
  { takesPictures, signal }: { takesPictures: boolean; signal: AbortSignal },
): Promise<OwnSamples> {
  const { source, settings, files } = request;
  const key = keyOf(request);
  if (!takesPictures) {
    const feeds = Array.from({ length: SYNTHETIC }, (_, i) => syntheticFeed(graph, request.shapes, SEED + i));
    const what = `${many(feeds.length, 'set')} of synthetic inputs, seed ${SEED}`;
    return { key, what, feeds, shapes: shapesOf(feeds[0]) };
  }
  checkPictureSettings(settings, WORDS);
  const own = source === 'cifar10' ? { ...settings, width: SIDE, height: SIDE } : settings;
  const input = pictureInput(graph.inputs, {}, own, WORDS);
  let pictures: Pixels[];
  let what: string;
  if (source === 'synthetic') {
    pictures = syntheticPictures(input, SYNTHETIC);
    what = `${many(SYNTHETIC, 'synthetic picture')} of noise, seed ${SEED}`;
  } else if (source === 'cifar10') {
    pictures = cifarPictures(state);
    what = many(
      pictures.length,
      state.calibration.length ? 'CIFAR-10 training image' : 'CIFAR-10 test image',
    );
  } else {
    if (files.length === 0)
      throw new LloydError('there must be pictures', 'none', 'drop some, or choose synthetic inputs');
    pictures = [];
    for (const file of spreadOver(files, MOST_PICTURES)) {
      signal.throwIfAborted();
      pictures.push(resample(await decode(file, input.channels), input.width, input.height));
    }
    what = many(pictures.length, 'picture');
  }
  const batch = input.batch ?? 1;
  const feeds = Array.from({ length: Math.ceil(pictures.length / batch) }, (_, i): Feed => {
    const chosen = pictures.slice(i * batch, (i + 1) * batch);
    return { [input.name]: pictureTensor(chosen, input, batch) };
  });
  return { key, what, feeds, shapes: shapesOf(feeds[0]) };
}

const shapesOf = (feed: Feed): ShapeOptions =>
  Object.fromEntries(Object.entries(feed).map(([name, { dims }]) => [name, dims]));

/**
 * Reproducible inputs: floats roughly normal, with a deviation of 1; whole numbers 0 or 1, which are good for masks and
 * in every table.
 */
export function syntheticFeed(graph: GraphModel['graph'], shapes: ShapeOptions, seed: number): Feed {
  const random = seeded(seed);
  return Object.fromEntries(
    concreteInputs(graph, { shapes, batch: 1 }).map(({ name, dtype, shape }) => {
      const count = sizeOf(shape);
      const isFloat = dtype === 'float32' || dtype === 'float16';
      const values = isFloat ? random.floats(count) : random.bytes(count).map((byte) => byte & 1);
      return [name, fromWords(dtype, shape, values)];
    }),
  );
}

/** Pictures of noise. */
export function syntheticPictures({ width, height, channels }: PictureInput, count: number): Pixels[] {
  return Array.from({ length: count }, (_, i) => {
    const data = seeded(SEED + i).bytes(width * height * channels);
    return { width, height, channels, data };
  });
}

function cifarPictures({ calibration, test, runtime }: Pick<State, 'calibration' | 'test' | 'runtime'>) {
  const images = calibration.length ? calibration : test.images;
  const count = Math.min(images.length / CIFAR10_IMAGE_BYTES, runtime.adapter.profile === 'cpu' ? 4 : 32);
  return Array.from({ length: count }, (_, i): Pixels => {
    const data = images.subarray(i * CIFAR10_IMAGE_BYTES, (i + 1) * CIFAR10_IMAGE_BYTES);
    return { width: SIDE, height: SIDE, channels: 3, data };
  });
}

/** A picture file's pixels, by the browser's decoder, as they lie in the file. */
async function decode(file: File, channels: number): Promise<Pixels> {
  const refuse = (received: string, cause?: unknown): never => {
    const cure = 'PNG, JPEG and WebP are sure to work';
    throw new LloydError('a picture must be one that the browser reads', received, cure, { cause });
  };
  const asIs = { premultiplyAlpha: 'none', colorSpaceConversion: 'none' } as const;
  const bitmap = await createImageBitmap(file, asIs).catch((cause) => refuse(file.name, cause));
  try {
    const { width, height } = bitmap;
    if (width * height > MOST_PIXELS) refuse(`${file.name}, ${width} x ${height}`);
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
    context.drawImage(bitmap, 0, 0);
    return pixelsOf(context.getImageData(0, 0, width, height).data, width, height, channels);
  } finally {
    bitmap.close();
  }
}
