import { describe, expect, test } from 'vitest';
import { calibrate, observeRange, qparamsOf } from '../../src/run/calibrate.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { PIXELS } from '../../src/run/image-values.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { handMade, logitsOf, worstError } from '../support/hand-made.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const f32 = Math.fround;

/** One pixel of one channel, times `factor`: its activation's range is the images', known without a network. */
const scaled = (factor: number) =>
  handMade([1, 1, 1], [{ op: 'conv2d', name: 'c', inputs: ['x'], kernel: [1, 1], outChannels: 1 }], {
    'c.weight': [[1, 1, 1, 1], [factor]],
  });

/** 64 images are two batches: the first 32, all `first` but its ends, and another 32. */
function twoBatches([a, b]: readonly number[], [c, d]: readonly number[]): Float32Array {
  const images = new Float32Array(64);
  images.fill((a + b) / 2, 0, 32).fill((c + d) / 2, 32);
  images.set([a, b], 5);
  images.set([c, d], 40);
  return images;
}

describe('a range becomes a scale and a zero point', () => {
  test('of 255 steps, widened to hold 0', () => {
    expect(qparamsOf([0, 255])).toEqual({ scale: 1, zeroPoint: -128 });
    expect(qparamsOf([-255, 0])).toEqual({ scale: 1, zeroPoint: 127 });
    expect(qparamsOf([51, 255])).toEqual({ scale: 1, zeroPoint: -128 });
    expect(qparamsOf([-255, -51])).toEqual({ scale: 1, zeroPoint: 127 });
    expect(qparamsOf([-100, 155])).toEqual({ scale: 1, zeroPoint: -28 });
  });

  test('as small as a normal float32, and never 0', () => {
    expect(qparamsOf([0, 255e-12]).scale).toBe(f32(1e-12));
    expect(qparamsOf([0, 1e-44]).scale).toBe(2 ** -126);
    const { scale, zeroPoint } = qparamsOf([0, 0]);
    expect([scale > 1e-7 && scale < 1e-3, zeroPoint]).toEqual([true, -128]);
    expect(qparamsOf([-3e38, 3e38]).scale).toBe(f32(6e38 / 255));
  });
});

describe('observers', () => {
  test('minMax takes the extremes of all batches', () => {
    expect(observeRange('minMax', undefined, [1, 2])).toEqual([1, 2]);
    expect(observeRange('minMax', [-4, 8], [-1, 2])).toEqual([-4, 8]);
    expect(observeRange('minMax', [-1, 2], [-4, 8])).toEqual([-4, 8]);
  });

  test('movingAverage moves a tenth of the way', () => {
    expect(observeRange('movingAverage', undefined, [1, 2])).toEqual([1, 2]);
    expect(observeRange('movingAverage', [-10, 20], [0, 0])).toEqual([-9, 18]);
    expect(observeRange('movingAverage', [0, 0], [-10, 20])).toEqual([-1, 2]);
  });
});

describe('calibrate', () => {
  const of = async (
    images: Float32Array | Uint8Array,
    factor: number,
    observer?: 'minMax' | 'movingAverage',
  ) => {
    const found = await calibrate(context.runtime, scaled(factor), images, observer);
    return { x: found.get('x')!, c: found.get('c')! };
  };

  test('spans every batch, the last and the first alike, for the input as for a layer', async () => {
    for (const images of [twoBatches([-4, 8], [-1, 2]), twoBatches([-1, 2], [-4, 8])]) {
      expect(await of(images, 4)).toEqual({ x: qparamsOf([-4, 8]), c: qparamsOf([-16, 32]) });
    }
  });

  test('widens a range to hold 0, on either side', async () => {
    const images = twoBatches([2, 4], [2, 4]);
    expect(await of(images, 2)).toEqual({
      x: { scale: f32(4 / 255), zeroPoint: -128 },
      c: { scale: f32(8 / 255), zeroPoint: -128 },
    });
    expect((await of(images, -2)).c).toEqual({ scale: f32(8 / 255), zeroPoint: 127 });
  });

  test('averages batches where asked to', async () => {
    const images = twoBatches([-10, 20], [-1, 2]);
    const range = [-10 * 0.9 - 0.1, 20 * 0.9 + 0.2] as const;
    expect(await of(images, 2, 'movingAverage')).toEqual({
      x: qparamsOf(range),
      c: qparamsOf([range[0] * 2, range[1] * 2]),
    });
  });

  test('pixels are their own codes, as bytes or floats, dark ones too', async () => {
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
    expect((await of(bytes, 1)).x).toEqual(PIXELS);
    expect(
      (
        await of(
          Float32Array.from(bytes, (p) => p / 255),
          1,
        )
      ).x,
    ).toEqual(PIXELS);
    expect((await of(Float32Array.of(0.013, 0.91), 1)).x).toEqual(PIXELS);
    // Of other floats in 0 to 1 a pixel's scale would waste a bit or more.
    expect((await of(Float32Array.of(0.013, 0.41), 1)).x).toEqual(qparamsOf([0, f32(0.41)]));
    expect((await of(Float32Array.of(0.013, 1.5), 1)).x).toEqual(qparamsOf([0, 1.5]));
    expect((await of(Float32Array.of(-0.013, 0.9), 1)).x).toEqual(qparamsOf([f32(-0.013), f32(0.9)]));
  });

  test('refuses images and activations that are not finite, naming where', async () => {
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      const images = new Float32Array(50).fill(0.5);
      images[41] = bad;
      await expect(of(images, 1)).rejects.toThrow(
        `calibration images must be finite; received "${bad} in image 41, at index 0 of it"`,
      );
    }
    await expect(of(Float32Array.of(1e30, 1), 1e20)).rejects.toThrow(/c: activations must be finite/);
    await expect(of(Float32Array.of(-1e30, 1), 1e20)).rejects.toThrow(/c: activations must be finite/);
  });

  test('what was only ever zero takes the scale of the sum or concatenation that reads it', async () => {
    const conv = (name: string, input: string) =>
      ({ op: 'conv2d', name, inputs: [input], kernel: [1, 1], outChannels: 1 }) as const;
    const model = handMade(
      [1, 1, 1],
      [
        conv('a', 'x'),
        { op: 'relu', name: 'dead', inputs: ['a'] },
        conv('b', 'x'),
        { op: 'add', name: 'sum', inputs: ['b', 'dead'] },
        { op: 'concat', name: 'both', inputs: ['sum', 'dead'] },
        { op: 'globalAveragePool', name: 'g', inputs: ['both'] },
      ],
      { 'a.weight': [[1, 1, 1, 1], [-1]], 'b.weight': [[1, 1, 1, 1], [3]] },
    );
    const found = await calibrate(context.runtime, model, Float32Array.of(1, 5));
    expect(found.get('dead')).toEqual(found.get('sum'));
    expect(found.get('b')).toEqual(qparamsOf([0, 15]));
  });
});

describe('integer models of inputs beyond 0 to 1', () => {
  const random = seeded(12);
  const model = handMade(
    [4, 4, 2],
    [
      { op: 'conv2d', name: 'c', inputs: ['x'], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels: 6 },
      { op: 'relu', name: 'r', inputs: ['c'] },
      { op: 'linear', name: 'fc', inputs: ['r'], outFeatures: 5 },
    ],
    {
      'c.weight': [[6, 2, 3, 3], random.floats(108)],
      'c.bias': [[6], random.floats(6)],
      'fc.weight': [[5, 96], random.floats(480, 0.2)],
      'fc.bias': [[5], random.floats(5)],
    },
  );
  // Normalised to -1..1, by mean and deviation, far from 0, tiny, and huge.
  const inputs: [string, (value: number) => number][] = [
    ['-1 to 1', (u) => u * 2 - 1],
    ['mean and deviation', (u) => (u - 0.45) / 0.23],
    ['0 to 255', (u) => u * 255],
    ['100 to 110', (u) => 100 + u * 10],
    ['below zero', (u) => -3 - u],
    ['a millionth', (u) => (u - 0.5) * 1e-6],
    ['1e-25', (u) => (u - 0.5) * 1e-25],
    ['1e20', (u) => (u - 0.5) * 1e20],
  ];
  test.each(inputs)('%s', async (_, normalise) => {
    const images = Float32Array.from({ length: 8 * 32 }, () => normalise(random.next()));
    const options = { method: 'linear', bits: 8, calibration: images } as const;
    const quantized = await quantizeModel(context.runtime, model, options);
    const got = await logitsOf(context, quantized, images);
    expect(got).toEqual(int8Logits(quantized, images));
    expect(worstError(got, await logitsOf(context, model, images))).toBeLessThan(0.03);
    const build = (parameters: typeof model.parameters) => ({ ...model, parameters });
    const again = readModelFile(writeModelFile(quantized), build);
    expect(await logitsOf(context, again, images)).toEqual(got);
  });

  test('pixels of a model that was calibrated on floats are the numbers they stand for', async () => {
    const images = Float32Array.from({ length: 8 * 32 }, () => random.next() * 2 - 1);
    const options = { method: 'linear', bits: 8, calibration: images } as const;
    const quantized = await quantizeModel(context.runtime, model, options);
    const pixels = Uint8Array.from({ length: 64 }, () => random.integer(0, 255));
    const got = await logitsOf(context, quantized, pixels);
    expect(got).toEqual(
      await logitsOf(
        context,
        quantized,
        Float32Array.from(pixels, (p) => p / 255),
      ),
    );
    expect(got).toEqual(int8Logits(quantized, pixels));
  });
});
