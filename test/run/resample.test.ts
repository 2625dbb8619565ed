import { expect, test } from 'vitest';
import { pixelsOf, resizePixels, resizeTaps } from '../../src/reference/preprocess-image.ts';
import { resample } from '../../src/run/resample.ts';
import { PILLOW, PILLOW_PICTURE } from '../support/pillow.ts';
import { seeded } from '../support/runtime.ts';

const picture = (
  width: number,
  height: number,
  channels: number,
  at: (x: number, y: number, c: number) => number,
) => ({
  ...{ width, height, channels },
  data: Uint8Array.from({ length: width * height * channels }, (_, i) =>
    at(Math.floor(i / channels) % width, Math.floor(i / channels / width), i % channels),
  ),
});

test('a picture of the size asked for is itself', () => {
  const random = seeded(1);
  const own = picture(5, 3, 3, () => random.integer(0, 255));
  expect(resample(own, 5, 3)).toBe(own);
});

test('shrinking averages by a triangle as wide as what it shrinks', () => {
  // Of 4 samples at 0.5, 1.5, ... around 1: weights 0.75, 0.75, 0.25 over their sum.
  const made = resample(
    picture(4, 2, 1, (x) => x * 70),
    2,
    1,
  );
  expect([...made.data]).toEqual([50, 160]);
});

test('enlarging is linear between the samples, and holds the edges', () => {
  const made = resample(
    picture(2, 2, 1, (x) => x * 100),
    4,
    4,
  );
  expect([...made.data.subarray(0, 4)]).toEqual([0, 25, 75, 100]);
});

test('the middle is cut out of what covers the size, each channel by itself', () => {
  // 8 x 4 to 2 x 2: scaled by two, of 8 columns the middle four.
  const wide = resample(
    picture(8, 4, 3, (x, _, c) => (x < 2 || x >= 6 ? 255 : 10 * c)),
    2,
    2,
  );
  const narrow = resample(
    picture(4, 8, 3, (_, y, c) => (y < 2 || y >= 6 ? 255 : 10 * c)),
    2,
    2,
  );
  // The filter reaches one sample past the cut.
  const edge = (c: number) => Math.floor((0.25 * 255 + 1.5 * 10 * c + 0.25 * 10 * c) / 2 + 0.5);
  for (const { data } of [wide, narrow]) {
    for (let p = 0; p < 4; p++) for (let c = 0; c < 3; c++) expect(data[p * 3 + c]).toBe(edge(c));
  }
  const flat = resample(
    picture(37, 91, 4, (_, __, c) => 60 * c + 7),
    16,
    9,
  );
  expect([flat.width, flat.height]).toEqual([16, 9]);
  for (const [i, value] of flat.data.entries()) expect(value).toBe(60 * (i % 4) + 7);
});

test.each(PILLOW)(
  "Pillow's bytes: %s",
  (_, { size, crop, interpolation = 'bilinear', channels = 3 }, want) => {
    const pixels = pixelsOf(PILLOW_PICTURE, 9, 7, channels);
    const made = crop
      ? resizePixels(pixels, crop, size, interpolation)
      : resample(pixels, size.width, size.height, interpolation);
    expect([...made.data]).toEqual(want);
  },
);

test('weights are whole, halves away from zero, and those of a half-pixel centre', () => {
  const tables = (size: number, start: number, end: number, length: number, by: 'bilinear' | 'bicubic') =>
    resizeTaps(size, start, end, length, by).map(({ first, weights }) => [first, ...weights]);
  expect(tables(3, 0, 3, 9, 'bilinear')[2]).toEqual([0, 2796203, 1398101]);
  // Between two pixels (-1, 9, 9, -1) / 16; a quarter past one (-9, 111, 29, -3) / 128.
  expect(tables(8, 3.5, 4.5, 1, 'bicubic')[0]).toEqual([2, -262144, 2359296, 2359296, -262144]);
  expect(tables(8, 3.25, 4.25, 1, 'bicubic')[0]).toEqual([2, -294912, 3637248, 950272, -98304]);
});
