import { describe, expect, test } from 'vitest';
import { centerCrop, pixelsOf } from '../../src/reference/preprocess-image.ts';
import { PILLOW, PILLOW_PICTURE, PILLOW_SOURCE } from '../support/pillow.ts';
import {
  apart,
  CASES,
  expected,
  nameOf,
  noise,
  type PreprocessCase,
  preprocessed,
  triangleMeans,
} from '../support/preprocess-image.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const fromBuffer = (options: PreprocessCase, bytes: Uint8Array, want: Float32Array) =>
  gpu.runtime.scope(({ upload }) => apart(gpu.runtime, options, upload(bytes, 'source'), want));

describe('preprocess-image', () => {
  test.each(CASES.map((each) => [nameOf(each), each] as const))('%s', async (_, options) => {
    const bytes = noise(options.source);
    expect(await fromBuffer(options, bytes, expected(bytes, options))).toBe(-1);
  });

  test.each(PILLOW)("Pillow's bytes: %s", async (_, options, want) => {
    const as: PreprocessCase = { ...options, source: PILLOW_SOURCE, layout: 'nhwc', std: 1 / 255 };
    expect(await fromBuffer(as, PILLOW_PICTURE, Float32Array.from(want))).toBe(-1);
  });

  test.each(
    CASES.filter(({ interpolation }) => interpolation === undefined).map(
      (each) => [nameOf(each), each] as const,
    ),
  )('the mean under a triangle, in float64, of %s', async (_, { source, size, crop = 'center' }) => {
    const bytes = noise(source, 77);
    const part = crop === 'center' ? centerCrop(source, size) : crop;
    const want = triangleMeans(pixelsOf(bytes, source.width, source.height, 4), part, size);
    const { runtime } = gpu;
    const plain = { source, size, crop, channels: 4, layout: 'nhwc', std: 1 / 255 } as const;
    const got = await runtime.scope(({ upload }) => preprocessed(runtime, plain, upload(bytes)));
    // Each direction rounds by half a step, and the first one's halves are averaged; weights by 2^-23 of 255 each.
    for (const [i, value] of got.entries()) expect(Math.abs(value - want[i])).toBeLessThan(1.02);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    const options = {
      ...{ source: { width: 3, height: 2 }, size: { width: 2200, height: 2000 } },
      ...{ channels: 1 as const },
    };
    const bytes = noise(options.source);
    expect(await fromBuffer(options, bytes, expected(bytes, options))).toBe(-1);
  }, 60_000);

  test('known-wrong pictures are told apart', async () => {
    const options: PreprocessCase = {
      ...{ source: { width: 37, height: 23 }, size: { width: 16, height: 11 } },
      ...{ mean: [0.1, 0.2, 0.3], std: 0.5 },
    };
    const bytes = noise(options.source);
    const { x, y, width, height } = centerCrop(options.source, options.size);
    const wrongs: Partial<PreprocessCase>[] = [
      { order: 'bgr' },
      { layout: 'nhwc' },
      { interpolation: 'bicubic' },
      { crop: { x: x + 0.5, y, width, height } },
      { crop: { x: 0, y: 0, width: 37, height: 23 } },
      { mean: [0.1, 0.3, 0.2] },
      { std: 0.5000001 },
    ];
    for (const wrong of wrongs) {
      const want = expected(bytes, { ...options, ...wrong });
      expect(await fromBuffer(options, bytes, want), JSON.stringify(wrong)).not.toBe(-1);
    }
    const shifted = expected(
      bytes.map((byte, i) => (i === 4 * (11 * 37 + 18) ? byte ^ 128 : byte)),
      options,
    );
    expect(await fromBuffer(options, bytes, shifted)).not.toBe(-1);
  });
});
