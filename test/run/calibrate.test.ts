import { describe, expect, test } from 'vitest';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import {
  createObserver,
  OBSERVER_METHODS,
  type ObserverMethod,
  observeRange,
} from '../../src/quantize/calibration.ts';
import { quantizeLinear } from '../../src/reference/quantize-linear.ts';
import { calibrate, qparamsOf } from '../../src/run/calibrate.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { PIXELS } from '../../src/run/image-values.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { handMade, logitsOf, worstError } from '../support/hand-made.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const f32 = Math.fround;

const HISTOGRAMS = ['percentile', 'mse', 'entropy'] as const;

/** Pixels of one channel, times `factor`: the activation's values are the images', known without a network. */
const scaled = (factor: number, side = 1) =>
  handMade([side, side, 1], [{ op: 'conv2d', name: 'c', inputs: ['x'], kernel: [1, 1], outChannels: 1 }], {
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

  test.each(HISTOGRAMS)('%s sees every value that a layer leaves, and no padding', async (observer) => {
    const random = seeded(21);
    // Small integers, whose sums no order of addition rounds; 70 images are three batches of 24, two of them seen twice.
    const integers = (length: number) => Float32Array.from({ length }, () => random.integer(-4, 4));
    const model = handMade(
      [3, 2, 2],
      [
        { op: 'conv2d', name: 'a', inputs: ['x'], kernel: [1, 1], outChannels: 6 },
        { op: 'conv2d', name: 'b', inputs: ['x'], kernel: [1, 1], outChannels: 5 },
        { op: 'concat', name: 'both', inputs: ['a', 'b'] },
      ],
      { 'a.weight': [[6, 2, 1, 1], integers(12)], 'b.weight': [[5, 2, 1, 1], integers(10)] },
    );
    const images = Float32Array.from({ length: 70 * 12 }, () => Math.round(random.normal() * 9));
    const seen = [...images.subarray(0, 48 * 12), ...images.subarray(46 * 12)];
    const pixelsSeen = Float32Array.from(seen);
    const values = (name: 'a' | 'b') => {
      const [[channels], weights] = {
        a: [[6], model.parameters.get('a.weight')!.data],
        b: [[5], model.parameters.get('b.weight')!.data],
      }[name] as [number[], Float32Array];
      const made = new Float32Array((pixelsSeen.length / 2) * channels);
      for (let i = 0; i < made.length; i++) {
        const [pixel, c] = [Math.floor(i / channels), i % channels];
        made[i] = weights[c * 2] * pixelsSeen[pixel * 2] + weights[c * 2 + 1] * pixelsSeen[pixel * 2 + 1];
      }
      return made;
    };
    const expected = (...batches: Float32Array[]) => {
      const host = createObserver(observer);
      for (const batch of batches) host.observe(batch);
      const { minimum, maximum } = host.range({ bits: 8, signed: true, scheme: 'asymmetric' });
      return qparamsOf([minimum, maximum]);
    };
    const found = await calibrate(context.runtime, model, images, observer);
    expect(found.get('x')).toEqual(expected(pixelsSeen));
    expect(found.get('both')).toEqual(expected(values('a'), values('b')));
  });

  test('a percentile cuts off an outlier, mse and entropy too; minMax spans it', async () => {
    const images = seeded(22).floats(40_000);
    images[123] = 400;
    const scaleBy = async (observer: ObserverMethod, percentile?: number) => {
      const found = await calibrate(context.runtime, scaled(2, 50), images, observer, { percentile });
      return found.get('c')!.scale;
    };
    const whole = await scaleBy('minMax');
    expect(whole).toBeGreaterThan(800 / 255);
    expect(await scaleBy('percentile', 99.9)).toBeLessThan(whole / 20);
    expect(await scaleBy('percentile', 100)).toBe(whole);
    expect(await scaleBy('entropy')).toBeLessThan(whole / 4);
    // What the outlier loses is squared.
    expect(await scaleBy('mse')).toBeLessThanOrEqual(whole);
  });

  test('mse errs no more than minMax on what calibrated it', async () => {
    const random = seeded(23);
    for (const draw of [
      () => random.normal(),
      () => random.normal() ** 3,
      () => Math.max(0, random.normal() * 3 - 2),
      () => Math.exp(random.normal() * 2),
      () => random.next(),
    ]) {
      const images = Float32Array.from({ length: 20_000 }, draw);
      const error = async (observer: ObserverMethod) => {
        const { scale, zeroPoint } = (await calibrate(context.runtime, scaled(1, 50), images, observer)).get(
          'c',
        )!;
        const layout = { axisSize: 1, axisStride: images.length };
        const codes = quantizeLinear(images, [scale], [zeroPoint], layout, -128, 127);
        return images.reduce((sum, x, i) => sum + (x - (codes[i] - zeroPoint) * scale) ** 2, 0);
      };
      expect(await error('mse')).toBeLessThanOrEqual(await error('minMax'));
    }
  });

  test('an input with infinities that no integer layer reads is none of its business', async () => {
    const w = new GraphWriter('masked', 17);
    const x = w.input({ name: 'x', dtype: 'float32', shape: [1, 1, 2, 2] });
    const mask = w.input({ name: 'mask', dtype: 'float32', shape: [1, 1, 2, 2] });
    const weight = w.constant('w', { dtype: 'float32', dims: [1, 1, 1, 1], data: Float32Array.of(2) });
    const model = w.model([w.node('Max', 'y', [w.node('Conv', 'c', [x, weight]), mask])]);
    const feed = {
      x: { dtype: 'float32', dims: [1, 1, 2, 2], data: Float32Array.of(-3, 1, 2, 5) },
      mask: { dtype: 'float32', dims: [1, 1, 2, 2], data: Float32Array.of(0, -Infinity, 0, -Infinity) },
    } as const;
    for (const observer of OBSERVER_METHODS) {
      const int8 = await quantizeModel(context.runtime, model, {
        ...{ method: 'linear', bits: 8, calibration: [feed], observer },
      });
      expect([...int8.activations.keys()].sort()).toEqual(['c', 'x']);
      const session = await compile(context.runtime, int8);
      const y = (await session.run(feed)).y.data as Float32Array;
      session.destroy();
      for (const [i, value] of [0, 2, 4, 10].entries()) expect(y[i]).toBeCloseTo(value, 0);
    }
  });

  test.each(OBSERVER_METHODS)('%s of no elements has the range of 0', async (observer) => {
    const w = new GraphWriter('empty', 17);
    const floats = (...dims: number[]) => {
      const data = seeded(24).floats(dims.reduce((a, b) => a * b));
      return { dtype: 'float32', dims, data } as const;
    };
    const x = w.input({ name: 'x', dtype: 'float32', shape: [1, 1, 4, 4] });
    const none = w.input({ name: 'none', dtype: 'float32', shape: [0, 1, 4, 4] });
    const weight = w.constant('w', floats(3, 1, 3, 3));
    const model = w.model([
      w.node('Conv', 'c', [x, weight]),
      w.node('Conv', 'd', [none, weight]),
      w.node('Relu', 'e', [none]),
    ]);
    const feed = { x: floats(1, 1, 4, 4), none: floats(0, 1, 4, 4) };
    const int8 = await quantizeModel(context.runtime, model, {
      ...{ method: 'linear', bits: 8, calibration: [feed], observer },
    });
    expect(int8.activations.get('none')).toEqual(qparamsOf([0, 0]));
    const session = await compile(context.runtime, int8);
    const { c, d } = await session.run(feed);
    session.destroy();
    expect([c.dims, d.dims]).toEqual([
      [1, 3, 2, 2],
      [0, 3, 2, 2],
    ]);
  });

  test('refuses observers and percentiles that there are not', async () => {
    const run = (observer: string, percentile?: number) =>
      calibrate(context.runtime, scaled(1), Float32Array.of(1, 2), observer as ObserverMethod, {
        percentile,
      });
    await expect(run('median')).rejects.toThrow(
      'observer must be one of minMax, movingAverage, percentile, mse, entropy; received "median"',
    );
    await expect(run('mse', 99)).rejects.toThrow(
      'percentile is of observer \'percentile\'; received "99 for mse"; leave it out',
    );
    for (const percentile of [0, -1, 100.1, Number.NaN])
      await expect(run('percentile', percentile)).rejects.toThrow(
        /percentile must be above 0 and at most 100/,
      );
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

describe('a mask that is infinite in one sample only', () => {
  const w = new GraphWriter('masked', 17);
  const x = w.input({ name: 'x', dtype: 'float32', shape: [1, 1, 3, 4] });
  const mask = w.input({ name: 'mask', dtype: 'float32', shape: [1, 1, 3, 3] });
  const random = seeded(12);
  const weights = (name: string, columns: number) =>
    w.constant(name, { dtype: 'float32', dims: [4, columns], data: random.floats(4 * columns) });
  const keys = w.node('Transpose', 'keys', [w.node('MatMul', 'k', [x, weights('wk', 4)])], {
    perm: [0, 1, 3, 2],
  });
  const scores = w.node('MatMul', 'scores', [w.node('MatMul', 'q', [x, weights('wq', 4)]), keys]);
  const sum = w.node('Add', 'sum', [scores, mask]);
  const values = w.node('MatMul', 'v', [x, weights('wv', 2)]);
  const model = w.model([w.node('MatMul', 'y', [w.node('Softmax', 'p', [sum], { axis: -1 }), values])]);
  const sample = (...mask: number[]) => ({
    x: { dtype: 'float32', dims: [1, 1, 3, 4], data: seeded(13).floats(12) } as const,
    mask: { dtype: 'float32', dims: [1, 1, 3, 3], data: Float32Array.from(mask) } as const,
  });
  const causal = sample(0, -Infinity, -Infinity, 0, 0, -Infinity, 0, 0, 0);

  test.each([[[sample(0, 0, 0, 0, 0, 0, 0, 0, 1), causal]], [[causal, sample(0, 0, 0, 0, 0, 0, 0, 0, 1)]]])(
    'leaves its sum float',
    async (calibration) => {
      const int8 = await quantizeModel(context.runtime, model, { method: 'linear', bits: 8, calibration });
      expect([...int8.layers.keys()].sort()).toEqual(['k', 'q', 'v']);
      for (const name of ['mask', 'sum']) expect(int8.activations.has(name)).toBe(false);
      const [floats, codes] = await Promise.all(
        [model, int8].map(async (network) => {
          const session = await compile(context.runtime, network);
          const { y } = await session.run(causal);
          session.destroy();
          return y.data as Float32Array;
        }),
      );
      expect(worstError(codes, floats)).toBeLessThan(0.03);
    },
  );
});

describe('inputs by name', () => {
  const w = new GraphWriter('by name', 17);
  const x = w.input({ name: 'x', dtype: 'float32', shape: [1, 'length', 2] });
  const eye = w.constant('eye', { dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 0, 0, 1) });
  const model = w.model([w.node('MatMul', 'y', [x, eye])]);
  const of = (...data: number[]) =>
    ({ dtype: 'float32', dims: [1, data.length / 2, 2], data: Float32Array.from(data) }) as const;
  const quantize = (calibration: readonly object[]) =>
    quantizeModel(context.runtime, model, { method: 'linear', bits: 8, calibration: calibration as never });

  test('say the sizes of what is open, each sample its own', async () => {
    const samples = [of(-1, 1, 2, 3), of(4, 5), of(0, -6, 0, 0, 0, 0), of(9, 2, 1, 0)].map((x) => ({ x }));
    const { activations } = await quantize(samples);
    expect(activations.get('x')).toEqual(qparamsOf([-6, 9]));
    expect(activations.get('y')).toEqual(qparamsOf([-6, 9]));
  });

  test.each([
    [{}, /calibration sample 1: x: every input must be given.*received "none"/],
    [{ x: of(1, 2), z: of(1, 2) }, /sample 1: inputs must be those of the network: x; received "z"/],
    [{ x: { ...of(1, 2), dims: [1, 2, 2] } }, /sample 1: x\.data must have 4 elements.*received 2/],
    [{ x: { dtype: 'int32', dims: [1, 1, 2], data: Int32Array.of(1, 2) } }, /sample 1: x must be float32/],
    [{ x: { ...of(1, 2), dims: [2, 1] } }, /sample 1: x must have the shape that the network says/],
    [of(1, 2).data, /sample 1 must be inputs by name/],
  ])('that are none are refused, %o', async (sample, message) => {
    await expect(quantize([{ x: of(1, 2) }, sample])).rejects.toThrow(message);
  });
});
