import { check } from '../gpu/errors.ts';
import type { ShapeOptions, ValueInfo } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { float32ToFloat16 } from '../io/tensor.ts';
import { type Pixels, resample } from './resample.ts';

/** What turns pictures into a network's input; sizes and layout where its shape leaves them open. */
export interface PictureSettings {
  width?: number;
  height?: number;
  /** Subtracted from pixels of 0 to 1: one for all channels, or one each. */
  mean: readonly number[];
  /** Divides what is left. */
  std: readonly number[];
  layout?: PictureLayout;
}

/** The order of a picture's dimensions, by its letters. */
export type PictureLayout = 'nchw' | 'nhwc';

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
export function checkPictureSettings({ mean, std }: PictureSettings, words: PictureWords): void {
  for (const [word, values] of [[words.mean, mean] as const, [words.std, std] as const]) {
    const fits = [1, 3, 4].includes(values.length);
    check(fits, `${word} must have a value for all channels, or one a channel`, values.length);
  }
  check(!std.includes(0), `${words.std} must not be 0`, std);
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
  for (const [word, values] of [[words.mean, settings.mean] as const, [words.std, settings.std] as const]) {
    const fits = values.length === 1 || values.length === channels;
    check(fits, `${word} must have one value, or ${channels}`, values.length);
  }
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
  };
}

/** Pictures as one input tensor, filled up by the first of them again where they are fewer than `batch`. */
export function pictureTensor(pictures: readonly Pixels[], input: PictureInput, batch: number): OnnxTensor {
  const { channels, width, height, layout, mean, std, dtype } = input;
  const pixels = width * height;
  const values = new Float32Array(batch * channels * pixels);
  for (let n = 0; n < batch; n++) {
    if (n >= pictures.length) {
      const from = n % pictures.length;
      values.copyWithin(n * channels * pixels, from * channels * pixels, (from + 1) * channels * pixels);
      continue;
    }
    const { data } = resample(pictures[n], width, height);
    for (let c = 0; c < channels; c++) {
      const [middle, spread] = [mean[c % mean.length], std[c % std.length]];
      const unit = dtype === 'uint8' ? 1 : 255;
      const at = (p: number) =>
        layout === 'nchw' ? (n * channels + c) * pixels + p : (n * pixels + p) * channels + c;
      for (let p = 0; p < pixels; p++) values[at(p)] = (data[p * channels + c] / unit - middle) / spread;
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

/** A decoder's RGBA in grey, RGB or RGBA. */
export function pixelsOf(rgba: ArrayLike<number>, width: number, height: number, channels: number): Pixels {
  const count = width * height;
  const data = new Uint8Array(count * channels);
  for (let p = 0; p < count; p++) {
    if (channels === 1) {
      // ITU-R 601-2, in integers as Pillow has it.
      const at = p * 4;
      data[p] = (rgba[at] * 19595 + rgba[at + 1] * 38470 + rgba[at + 2] * 7471 + 0x8000) >> 16;
    } else for (let c = 0; c < channels; c++) data[p * channels + c] = rgba[p * 4 + c];
  }
  return { width, height, channels, data };
}
