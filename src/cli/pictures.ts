import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { check } from '../gpu/errors.ts';
import type { ValueInfo } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { float32ToFloat16 } from '../io/tensor.ts';
import type { OptionValue } from './command.ts';
import { readPicture } from './decode-picture.ts';
import type { Ledger } from './ledger.ts';
import { choice, numbers, text } from './options.ts';
import { resample } from './resample.ts';

/** The options of what turns pictures into a network's input, read. */
export interface PictureSettings {
  width?: number;
  height?: number;
  mean: readonly number[];
  std: readonly number[];
  layout?: 'nchw' | 'nhwc';
}

/** @throws LloydError for an option that is wrong by itself */
export function pictureSettings(options: Readonly<Record<string, OptionValue>>): PictureSettings {
  const size = text(options.size);
  const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(size ?? '') ?? [];
  check(size === undefined || width, '--size must be WxH', size, 'for example --size 224x224');
  const mean = numbers('--mean', options.mean) ?? [0];
  const std = numbers('--std', options.std) ?? [1];
  for (const [flag, values] of [['--mean', mean] as const, ['--std', std] as const]) {
    const fits = [1, 3, 4].includes(values.length);
    check(fits, `${flag} must have a value for all channels, or one a channel`, values.length);
  }
  check(!std.includes(0), '--std must not be 0', std);
  return {
    ...(width && { width: Number(width), height: Number(height) }),
    mean,
    std,
    layout: choice('--layout', options.layout, ['nchw', 'nhwc']),
  };
}

/** How pictures become an input. */
export interface PictureInput {
  name: string;
  dtype: 'float32' | 'float16' | 'uint8';
  layout: 'nchw' | 'nhwc';
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
 * @param sizes of symbols, as `--shape` gives them
 * @throws LloydError for a network of several inputs, an input that no picture is, or a size or layout that it leaves open
 */
export function pictureInput(
  inputs: readonly ValueInfo[],
  sizes: Readonly<Record<string, number | readonly number[]>>,
  settings: PictureSettings,
): PictureInput {
  const shown = inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
  const [input] = inputs;
  check(
    inputs.length === 1 && input.shape.length === 4,
    'pictures are for a network of one input of four dimensions',
    shown,
    'pass tensors by name: --calibration FILE.npz',
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
  check(layout, "the input's shape must tell its layout", shown, 'pass --layout nchw or --layout nhwc');
  const [channels = 3, high, wide] =
    layout === 'nchw' ? [shape[1], shape[2], shape[3]] : [shape[3], shape[1], shape[2]];
  check(isChannels(channels), `an input of pictures must have 1, 3 or 4 channels in ${layout}`, shown);
  const width = settings.width ?? wide;
  const height = settings.height ?? high;
  check(width && height, "the input's shape must tell the pictures' size", shown, 'pass --size WxH');
  check(
    width === (wide ?? width) && height === (high ?? height),
    `--size must be the network's own, ${wide}x${high}`,
    `${width}x${height}`,
  );
  for (const [flag, values] of [['--mean', settings.mean] as const, ['--std', settings.std] as const]) {
    const fits = values.length === 1 || values.length === channels;
    check(fits, `${flag} must have one value, or ${channels}`, values.length);
  }
  const plain = settings.mean.every((each) => each === 0) && settings.std.every((each) => each === 1);
  check(dtype !== 'uint8' || plain, 'an input of uint8 takes pixels as they are', '--mean or --std');
  return {
    ...{ name, dtype, layout, channels, width, height, batch: shape[0] },
    mean: settings.mean,
    std: settings.std,
  };
}

/** Paths of the pictures in a folder and its folders, sorted. */
export async function listPictures(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const named = (...extensions: string[]) =>
    entries
      .filter((entry) => !entry.isDirectory() && extensions.includes(extname(entry.name).toLowerCase()))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  const pictures = named('.png', '.jpg', '.jpeg');
  const others = named('.webp', '.gif', '.bmp', '.tif', '.tiff', '.avif');
  check(
    others.length === 0,
    'pictures must be PNG or JPEG files',
    `${others[0]}${others.length > 1 ? ` and ${others.length - 1} more` : ''}`,
    'convert them, for example: mogrify -format png, into a folder of their own',
  );
  check(pictures.length > 0, 'a folder of pictures must hold PNG or JPEG files', `${folder}, none in it`);
  return pictures;
}

/** `most` of a list, evenly spread over it, so that each part of a sorted folder has its share. */
export function spreadOver<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]);
}

/** Pictures as one input tensor, filled up by the first of them again where they are fewer than `batch`. */
export async function pictureTensor(
  files: Ledger,
  paths: readonly string[],
  input: PictureInput,
  batch: number,
): Promise<OnnxTensor> {
  const { channels, width, height, layout, mean, std, dtype } = input;
  const pixels = width * height;
  const values = new Float32Array(batch * channels * pixels);
  for (let n = 0; n < batch; n++) {
    if (n >= paths.length) {
      const from = n % paths.length;
      values.copyWithin(n * channels * pixels, from * channels * pixels, (from + 1) * channels * pixels);
      continue;
    }
    const { data } = resample(await readPicture(files, paths[n], channels), width, height);
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
