import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { check } from '../gpu/errors.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import type { Pixels } from '../reference/preprocess-image.ts';
import {
  checkPictureSettings,
  type PictureInput,
  type PictureSettings,
  type PictureWords,
  pictureTensor,
} from '../run/picture-input.ts';
import { resample } from '../run/resample.ts';
import type { OptionValue } from './command.ts';
import { readPicture } from './decode-picture.ts';
import type { Ledger } from './ledger.ts';
import { choice, numbers, text } from './options.ts';

/** What the settings are called on the command line. */
export const PICTURE_OPTIONS: PictureWords = {
  size: '--size',
  mean: '--mean',
  std: '--std',
  layout: '--layout',
  otherwise: 'pass tensors by name: --calibration FILE.npz',
};

/** @throws LloydError for an option that is wrong by itself */
export function pictureSettings(options: Readonly<Record<string, OptionValue>>): PictureSettings {
  const size = text(options.size);
  const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(size ?? '') ?? [];
  check(size === undefined || width, '--size must be WxH', size, 'for example --size 224x224');
  const settings: PictureSettings = {
    ...(width && { width: Number(width), height: Number(height) }),
    mean: numbers('--mean', options.mean) ?? [0],
    std: numbers('--std', options.std) ?? [1],
  };
  checkPictureSettings(settings, PICTURE_OPTIONS);
  return {
    ...settings,
    layout: choice('--layout', options.layout, ['nchw', 'nhwc']),
    order: choice('--order', options.order, ['rgb', 'bgr']),
    interpolation: choice('--interpolation', options.interpolation, ['bilinear', 'bicubic']),
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

/** Picture files as one input tensor, filled up by the first of them again where they are fewer than `batch`. */
export async function readPictures(
  files: Ledger,
  paths: readonly string[],
  input: PictureInput,
  batch: number,
): Promise<OnnxTensor> {
  const pictures: Pixels[] = [];
  // Each at the network's size before the next is read: photographs are far larger.
  const { channels, width, height, interpolation } = input;
  for (const path of paths)
    pictures.push(resample(await readPicture(files, path, channels), width, height, interpolation));
  return pictureTensor(pictures, input, batch);
}
