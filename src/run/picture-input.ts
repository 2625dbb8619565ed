import { check } from '../gpu/errors.ts';
import type { ShapeOptions, ValueInfo } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { float32ToFloat16 } from '../io/tensor.ts';
import {
  type Interpolation,
  type Normalization,
  type Pixels,
  writePixels,
} from '../reference/preprocess-image.ts';
import { resample } from './resample.ts';

/** What turns pictures into a network's input; sizes and layout where its shape leaves them open. */
export interface PictureSettings {
  width?: number;
  height?: number;
  /** Subtracted from pixels of 0 to 1: one for all channels, or one each. */
  mean: readonly number[];
  /** Divides what is left. */
  std: readonly number[];
  layout?: PictureLayout;
  /** Of the colours, as the network has them (default rgb). */
  order?: Normalization['order'];
  /** How pictures are resized (default bilinear). */
  interpolation?: Interpolation;
}

/** The order of a picture's dimensions, by its letters. */
export type PictureLayout = Normalization['layout'];

/** What the settings are called where they are given, for what is said of them. */
export interface PictureWords {
  size: string;
  mean: string;
  std: string;
  layout: string;
  /** What to do with a network that takes no pictures. */
  otherwise: string;
}

/** @throws LloydError for a mean or deviation that no picture has */
export function checkPictureSettings(
  { mean, std }: Pick<PictureSettings, 'mean' | 'std'>,
  words: Pick<PictureWords, 'mean' | 'std'>,
): void {
  for (const [word, values] of [[words.mean, mean] as const, [words.std, std] as const]) {
    const count = Array.isArray(values) ? values.length : values;
    const fits = [1, 3, 4].includes(count as number);
    check(fits, `${word} must have a value for all channels, or one a channel`, count);
    check(values.every(Number.isFinite), `${word} must be finite`, values);
  }
  check(!std.includes(0), `${words.std} must not be 0`, std);
}

/** @throws LloydError for so many values of a setting that they are not one, or one a channel */
export function checkChannelValues(word: string, values: readonly number[], channels: number): void {
  const fits = values.length === 1 || values.length === channels;
  check(fits, `${word} must have one value, or ${channels}`, values.length);
}

/** How pictures become an input. */
export interface PictureInput {
  name: string;
  dtype: 'float32' | 'float16' | 'uint8';
  layout: PictureLayout;
  channels: number;
  width: number;
  height: number;
  /** Pictures at once: what the shape fixes; undefined where it leaves that open. */
  batch?: number;
  mean: readonly number[];
  std: readonly number[];
  order?: Normalization['order'];
  interpolation?: Interpolation;
}

/**
 * How pictures become a network's only input.
 *
 * @param sizes of the shape's symbols, or whole shapes by input
 * @param words what the settings are called where they are given
 * @throws LloydError for a network of several inputs, an input that no picture is, or a size or layout that it leaves open
 */
export function pictureInput(
  inputs: readonly ValueInfo[],
  sizes: ShapeOptions,
  settings: PictureSettings,
  words: PictureWords,
): PictureInput {
  const shown = inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
  const [input] = inputs;
  check(
    inputs.length === 1 && input.shape.length === 4,
    'pictures are for a network of one input of four dimensions',
    shown,
    words.otherwise,
  );
  const { name, dtype } = input;
  check(
    dtype === 'float32' || dtype === 'float16' || dtype === 'uint8',
    'pictures are for an input of float32, float16 or uint8',
    `${name}: ${dtype}`,
  );
  const whole = sizes[name];
  const shape = input.shape.map((dim, i) => {
    if (typeof whole === 'object') return whole[i];
    const given = typeof dim === 'string' ? sizes[dim] : dim;
    return typeof given === 'number' ? given : undefined;
  });
  const isChannels = (size: number | undefined) => size === 1 || size === 3 || size === 4;
  const layout =
    settings.layout ?? (isChannels(shape[1]) ? 'nchw' : isChannels(shape[3]) ? 'nhwc' : undefined);
  check(layout, "the input's shape must tell its layout", shown, `give ${words.layout} nchw or nhwc`);
  const [channels = 3, high, wide] =
    layout === 'nchw' ? [shape[1], shape[2], shape[3]] : [shape[3], shape[1], shape[2]];
  check(isChannels(channels), `an input of pictures must have 1, 3 or 4 channels in ${layout}`, shown);
  const width = settings.width ?? wide;
  const height = settings.height ?? high;
  check(width && height, "the input's shape must tell the pictures' size", shown, `give ${words.size} WxH`);
  check(
    width === (wide ?? width) && height === (high ?? height),
    `${words.size} must be the network's own, ${wide}x${high}`,
    `${width}x${height}`,
  );
  checkChannelValues(words.mean, settings.mean, channels);
  checkChannelValues(words.std, settings.std, channels);
  const plain = settings.mean.every((each) => each === 0) && settings.std.every((each) => each === 1);
  check(
    dtype !== 'uint8' || plain,
    'an input of uint8 takes pixels as they are',
    `${words.mean} or ${words.std}`,
  );
  return {
    ...{ name, dtype, layout, channels, width, height, batch: shape[0] },
    mean: settings.mean,
    std: settings.std,
    order: settings.order,
    interpolation: settings.interpolation,
  };
}

/** Pictures as one input tensor, filled up by the first of them again where they are fewer than `batch`. */
export function pictureTensor(pictures: readonly Pixels[], input: PictureInput, batch: number): OnnxTensor {
  const { channels, width, height, layout, dtype, interpolation } = input;
  const each = channels * width * height;
  const values = new Float32Array(batch * each);
  // Pixels as they are.
  const plain = { layout, order: input.order, mean: [0], std: [1 / 255] };
  for (let n = 0; n < batch; n++) {
    if (n >= pictures.length)
      values.copyWithin(n * each, (n % pictures.length) * each, ((n % pictures.length) + 1) * each);
    else {
      const resized = resample(pictures[n], width, height, interpolation);
      writePixels(resized, dtype === 'uint8' ? plain : input, values.subarray(n * each, (n + 1) * each));
    }
  }
  const dims = layout === 'nchw' ? [batch, channels, height, width] : [batch, height, width, channels];
  if (dtype === 'uint8') return { dtype, dims, data: Uint8Array.from(values) };
  if (dtype === 'float16') return { dtype, dims, data: float32ToFloat16(values) };
  return { dtype, dims, data: values };
}

/** `most` of a list, evenly spread over it, so that each part of a sorted folder has its share. */
export function spreadOver<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]);
}

/** More would be a decoder's memory, not a picture. */
export const MOST_PIXELS = 2 ** 26;
