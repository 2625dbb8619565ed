import { LloydError } from '../gpu/errors.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import { roundHalfToEven } from '../reference/round.ts';

/** NHWC images: Uint8Array of pixels 0-255, which stand for 0 to 1, or Float32Array as the network takes them. */
export type Images = Uint8Array | Float32Array;

/** The input's scale and zero point that make a pixel its own code. */
export const PIXELS: ActivationQparams = { scale: Math.fround(1 / 255), zeroPoint: -128 };

/** Whether every value is one that a pixel stands for, exactly. */
export function arePixels(images: Images): boolean {
  if (images instanceof Uint8Array) return true;
  return images.every((value) => {
    const pixel = roundHalfToEven(value * 255);
    return pixel >= 0 && pixel <= 255 && value === Math.fround(pixel / 255);
  });
}

/**
 * Refuses images with a NaN or an infinity: behind a clamp they come out as plausible numbers, and WGSL lets an adapter
 * assume that there are none.
 *
 * @param what for the message: which images they are.
 * @throws LloydError naming the first such value's image and place.
 */
export function checkFiniteImages(what: string, images: Images, perImage: number): void {
  if (images instanceof Uint8Array) return;
  // A product with 0 is 0 for every finite number and NaN for the rest; four sums, so that none waits for another.
  const whole = images.length - (images.length % 4);
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    a += images[i] * 0;
    b += images[i + 1] * 0;
    c += images[i + 2] * 0;
    d += images[i + 3] * 0;
  }
  for (let i = whole; i < images.length; i++) a += images[i] * 0;
  if (a + b + c + d === 0) return;
  const index = images.findIndex((value) => !Number.isFinite(value));
  throw new LloydError(
    `${what} must be finite`,
    `${images[index]} in image ${Math.floor(index / perImage)}, at index ${index % perImage} of it`,
    'replace it before the network sees it',
  );
}

/**
 * The bytes that the entry of an integer model reads, code + 128 each: `clamp(rne(f32(x / scale)) + zeroPoint)`, ONNX's
 * QuantizeLinear. At {@link PIXELS} a pixel is its own byte.
 */
export function imageBytes(images: Images, { scale, zeroPoint }: ActivationQparams): Uint8Array {
  const offset = zeroPoint + 128;
  const [least, most] = [-offset, 255 - offset];
  const byteOf = (value: number) =>
    offset + roundHalfToEven(Math.min(most, Math.max(least, Math.fround(value / scale))));
  if (images instanceof Uint8Array) {
    if (scale === PIXELS.scale && zeroPoint === PIXELS.zeroPoint) return images;
    const bytes = Uint8Array.from({ length: 256 }, (_, pixel) => byteOf(Math.fround(pixel / 255)));
    return images.map((pixel) => bytes[pixel]);
  }
  const bytes = new Uint8Array(images.length);
  // Below 2^51 the sum with this number is rounded to an integer, ties to even.
  const ROUND = 1.5 * 2 ** 52;
  for (let i = 0; i < images.length; i++) {
    const steps = Math.min(most, Math.max(least, Math.fround(images[i] / scale)));
    bytes[i] = offset + (steps + ROUND - ROUND);
  }
  return bytes;
}
