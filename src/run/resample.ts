/** Pixels of a picture, row by row, `channels` bytes each. */
export interface Pixels {
  width: number;
  height: number;
  channels: number;
  data: Uint8Array;
}

/** How much each of some neighbouring samples counts for one that is made of them. */
interface Tap {
  first: number;
  weights: Float64Array;
}

/**
 * A picture at another size: scaled until it covers it, keeping its proportions, the middle cut out. A picture of that
 * size already is left as it is.
 *
 * Bilinear, with the filter as wide as what it shrinks (what Pillow calls BILINEAR, and torchvision Resize with
 * antialiasing); channels are rounded to bytes after each direction, as there.
 */
export function resample(picture: Pixels, width: number, height: number): Pixels {
  if (picture.width === width && picture.height === height) return picture;
  const scale = Math.min(picture.width / width, picture.height / height);
  const across = taps(picture.width, width, scale);
  const down = taps(picture.height, height, scale);
  const { channels } = picture;
  const narrow = new Uint8Array(width * picture.height * channels);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = across[x];
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let t = 0; t < weights.length; t++)
          sum += weights[t] * picture.data[(y * picture.width + first + t) * channels + c];
        narrow[(y * width + x) * channels + c] = Math.floor(sum + 0.5);
      }
    }
  }
  const data = new Uint8Array(width * height * channels);
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    const { first, weights } = down[y];
    for (let i = 0; i < row; i++) {
      let sum = 0;
      for (let t = 0; t < weights.length; t++) sum += weights[t] * narrow[(first + t) * row + i];
      data[y * row + i] = Math.floor(sum + 0.5);
    }
  }
  return { width, height, channels, data };
}

/** What each of `size` samples is made of, out of the middle of `from`, `scale` of them for one. */
function taps(from: number, size: number, scale: number): Tap[] {
  const offset = (from - size * scale) / 2;
  const reach = Math.max(1, scale);
  return Array.from({ length: size }, (_, i) => {
    const centre = offset + (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(from, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: Math.max(1, last - first) }, (_, t) =>
      Math.max(0, 1 - Math.abs((first + t + 0.5 - centre) / reach)),
    );
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}
