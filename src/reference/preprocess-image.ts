// Pictures as networks are trained on them: resized as Pillow does it, byte for byte, then normalized. The command line
// and the page prepare pictures by it, and the shaders compute the same.

/** Pixels of a picture, row by row, `channels` bytes each. */
export interface Pixels {
  width: number;
  height: number;
  channels: number;
  data: Uint8Array;
}

/** How new samples are made of old ones, by torchvision's names; a filter is as wide as what it shrinks. */
export type Interpolation = 'bilinear' | 'bicubic';

/** A part of a picture in pixels, from its upper left corner; fractions of pixels count. */
export interface Crop {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** How much each of some neighbouring samples counts for one that is made of them, in units of 2^-22. */
export interface Taps {
  first: number;
  weights: Int32Array;
}

const ONE = 1 << 22;

/** Each filter and how far it reaches. */
const FILTERS: Readonly<Record<Interpolation, readonly [number, (x: number) => number]>> = {
  bilinear: [1, (x) => Math.max(0, 1 - x)],
  bicubic: [2, (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0)],
};

/** What each of `length` samples is made of, out of those between `start` and `end` of `size`: pixels have their centre at 1/2. */
export function resizeTaps(
  size: number,
  start: number,
  end: number,
  length: number,
  interpolation: Interpolation,
): Taps[] {
  // Pillow keeps what it cuts out in float32.
  const [low, high] = [Math.fround(start), Math.fround(end)];
  const scale = Math.fround(high - low) / length;
  const [reach, filter] = FILTERS[interpolation];
  const wide = Math.max(1, scale);
  const narrow = 1 / wide;
  return Array.from({ length }, (_, i) => {
    const centre = low + (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach * wide + 0.5));
    const count = Math.min(size, Math.floor(centre + reach * wide + 0.5)) - first;
    const parts = Array.from({ length: count }, (_, t) =>
      filter(Math.abs((t + first - centre + 0.5) * narrow)),
    );
    const sum = parts.reduce((a, b) => a + b, 0);
    // Rounded, halves away from zero.
    const weights = parts.map((part) => (part / sum) * ONE + (part < 0 ? -0.5 : 0.5));
    return { first, weights: Int32Array.from(weights) };
  });
}

/** The largest part of a picture that has the proportions of a size, in its middle: what Pillow's ImageOps.fit keeps. */
export function centerCrop(
  picture: Readonly<{ width: number; height: number }>,
  size: Readonly<{ width: number; height: number }>,
): Crop {
  const ratio = size.width / size.height;
  const own = picture.width / picture.height;
  const width = own > ratio ? ratio * picture.height : picture.width;
  const height = own < ratio ? picture.width / ratio : picture.height;
  return { x: (picture.width - width) * 0.5, y: (picture.height - height) * 0.5, width, height };
}

/** A sum of bytes by weights, as a byte. */
const byteOf = (sum: number) => Math.min(255, Math.max(0, (sum + ONE / 2) >> 22));

/** A part of a picture at another size. The filters see what lies around the part, and become bytes after each direction. */
export function resizePixels(
  picture: Pixels,
  { x, y, width: wide, height: high }: Crop,
  { width, height }: Readonly<{ width: number; height: number }>,
  interpolation: Interpolation,
): Pixels {
  const { channels } = picture;
  const across = resizeTaps(picture.width, x, x + wide, width, interpolation);
  const down = resizeTaps(picture.height, y, y + high, height, interpolation);
  const top = down.reduce((least, { first }) => Math.min(least, first), picture.height);
  const bottom = down.reduce((most, { first, weights }) => Math.max(most, first + weights.length), 0);
  const row = width * channels;
  const narrow = new Uint8Array(row * (bottom - top));
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x];
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let t = 0; t < weights.length; t++)
          sum += weights[t] * picture.data[(y * picture.width + first + t) * channels + c];
        narrow[(y - top) * row + x * channels + c] = byteOf(sum);
      }
    }
  }
  const data = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const { first, weights } = down[y];
    for (let i = 0; i < row; i++) {
      let sum = 0;
      for (let t = 0; t < weights.length; t++) sum += weights[t] * narrow[(first - top + t) * row + i];
      data[y * row + i] = byteOf(sum);
    }
  }
  return { width, height, channels, data };
}

/** RGBA in grey, RGB or RGBA, alpha left as it is. */
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

/** What each byte of each channel becomes, `(byte / 255 - mean) / std` in float64, rounded to float32: channel x 256. */
export function byteValues(channels: number, mean: readonly number[], std: readonly number[]): Float32Array {
  return Float32Array.from({ length: channels * 256 }, (_, i) => {
    const channel = i >> 8;
    return ((i & 255) / 255 - mean[channel % mean.length]) / std[channel % std.length];
  });
}

/** How pixels become values of a tensor. */
export interface Normalization {
  mean: readonly number[];
  std: readonly number[];
  layout: 'nchw' | 'nhwc';
  /** Blue first: channels of the tensor and of mean and deviation, not of the pixels. */
  order?: 'rgb' | 'bgr';
}

/** Writes a picture's pixels into its place of a tensor. */
export function writePixels(
  { width, height, channels, data }: Pixels,
  { mean, std, layout, order }: Normalization,
  output: Float32Array,
): void {
  const values = byteValues(channels, mean, std);
  const count = width * height;
  const [pixelStride, channelStride] = layout === 'nchw' ? [1, count] : [channels, 1];
  for (let p = 0; p < count; p++) {
    for (let c = 0; c < channels; c++) {
      const from = order === 'bgr' && channels > 1 && c < 3 ? 2 - c : c;
      output[p * pixelStride + c * channelStride] = values[c * 256 + data[p * channels + from]];
    }
  }
}
