import { expect, test } from 'vitest';
import { quantizeLinear } from '../../src/reference/quantize-linear.ts';
import { arePixels, checkFiniteImages, imageBytes, PIXELS } from '../../src/run/image-values.ts';
import { aroundTies } from '../support/dispatch.ts';
import { seeded } from '../support/runtime.ts';

const pixels = Uint8Array.from({ length: 256 }, (_, i) => i);

test('a pixel is its own byte, as a byte and as a float', () => {
  expect(imageBytes(pixels, PIXELS)).toBe(pixels);
  expect(
    imageBytes(
      Float32Array.from(pixels, (p) => p / 255),
      PIXELS,
    ),
  ).toEqual(pixels);
});

test('floats become the codes that QuantizeLinear gives, ties and what is out of range included', () => {
  for (const [scale, zeroPoint] of [
    [0.25, 3],
    [Math.fround(0.1), -128],
    [Math.fround(2 / 255), 0],
    [2 ** -126, 127],
    [1e30, -5],
  ]) {
    const values = Float32Array.of(
      ...aroundTies(scale, -300, 300),
      ...seeded(4).floats(500, scale * 60),
      ...[0, -0, 3e38, -3e38, 1e-45],
    );
    const layout = { axisSize: 1, axisStride: values.length };
    const want = quantizeLinear(values, [scale], [zeroPoint], layout, -128, 127);
    expect(imageBytes(values, { scale, zeroPoint })).toEqual(Uint8Array.from(want, (code) => code + 128));
  }
});

test('by another scale a pixel is quantized as the number it stands for', () => {
  const qparams = { scale: Math.fround(0.01), zeroPoint: -20 };
  const floats = Float32Array.from(pixels, (p) => p / 255);
  expect(imageBytes(pixels, qparams)).toEqual(imageBytes(floats, qparams));
});

test('pixels are told from other floats', () => {
  const floats = Float32Array.from(pixels, (p) => p / 255);
  expect(arePixels(pixels)).toBe(true);
  expect(arePixels(floats)).toBe(true);
  for (const odd of [0.5, -1 / 255, 256 / 255, 1e-9]) {
    expect(arePixels(Float32Array.of(...floats, odd)), String(odd)).toBe(false);
  }
});

test('a NaN or an infinity is refused by image and place, wherever it is', () => {
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    for (let at = 0; at < 11; at++) {
      const images = new Float32Array(11).fill(3e38);
      images[at] = bad;
      expect(() => checkFiniteImages('images', images, 3)).toThrow(
        `images must be finite; received "${bad} in image ${Math.floor(at / 3)}, at index ${at % 3} of it"`,
      );
    }
  }
  checkFiniteImages('images', new Float32Array(11).fill(-3e38), 3);
});
