import { centerCrop, type Interpolation, type Pixels, resizePixels } from '../reference/preprocess-image.ts';

/**
 * A picture at another size: scaled until it covers it, keeping its proportions, the middle cut out, as Pillow's
 * ImageOps.fit does it, byte for byte. A picture of that size already is left as it is.
 */
export function resample(
  picture: Pixels,
  width: number,
  height: number,
  interpolation: Interpolation = 'bilinear',
): Pixels {
  if (picture.width === width && picture.height === height) return picture;
  const size = { width, height };
  return resizePixels(picture, centerCrop(picture, size), size, interpolation);
}
