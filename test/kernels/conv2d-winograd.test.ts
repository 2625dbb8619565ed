import { describe, expect, test } from 'vitest';
import { type ConvPlane, chooseTile, fitsWinograd } from '../../src/conv/tile.ts';
import { tileLayout, tileWeights } from '../../src/conv/weight-layout.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { conv2dWinogradKernel } from '../../src/kernels/conv2d-winograd.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { type ConvGeometry, convOutput, maxPool2x2 } from '../../src/reference/conv2d-int8.ts';
import { conv2dWinograd } from '../../src/reference/conv2d-winograd.ts';
import { dispatch } from '../support/dispatch.ts';
import { padChannels, stripChannels } from '../support/gradients.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

interface Case {
  geometry: ConvGeometry;
  pool: boolean;
  size: number;
  bounds: readonly [number, number];
}

const random = seeded(12);
const cases: Case[] = Array.from({ length: 24 }, () => {
  const groups = random.pick([1, 1, 1, 2]);
  const kernelHeight = random.integer(1, 4);
  return {
    geometry: {
      batch: random.integer(1, 3),
      height: random.integer(4, 11),
      width: random.integer(3, 13),
      inChannels: groups * random.pick(groups === 1 ? [1, 3, 4, 13, 16] : [4, 16]),
      outChannels: groups * random.pick(groups === 1 ? [1, 7, 16, 20, 37] : [16, 32]),
      kernel: [kernelHeight, 3] as [number, number],
      strides: [1, 1] as [number, number],
      dilations: [random.integer(1, 2), 1] as [number, number],
      pads: [random.integer(0, kernelHeight - 1), random.integer(0, 2), random.integer(0, 2), 1] as const,
      groups,
    } as ConvGeometry,
    // Few combinations: an adapter that is a CPU takes seconds to compile one.
    ...random.pick([
      { pool: false, size: 16, bounds: [-1e30, 1e30] },
      { pool: true, size: 8, bounds: [0, 6] },
    ] as const),
  };
}).filter(({ geometry, pool }) => convOutput(geometry).every((size) => size >= (pool ? 2 : 1)));

function inputsOf({ geometry }: Case) {
  const r = seeded(geometry.width * 31 + geometry.inChannels);
  const { batch, height, width, inChannels, outChannels, kernel, groups } = geometry;
  return {
    input: r.floats(batch * height * width * inChannels),
    weight: r.floats((outChannels * inChannels * kernel[0] * 3) / groups, 0.3),
    scale: r.floats(outChannels), // negative scales too: pooling must come after them
    shift: r.floats(outChannels),
  };
}

async function run(
  { geometry, pool, size, bounds: [low, high] }: Case,
  input: Float32Array,
  weight: Float32Array,
) {
  const { scale, shift } = inputsOf({ geometry, pool, size, bounds: [low, high] });
  const { batch, height, width, inChannels, outChannels, kernel, pads, dilations, groups } = geometry;
  const [outputHeight, outputWidth] = convOutput(geometry);
  const shape = {
    outChannels,
    inChannels: inChannels / groups,
    kernelHeight: kernel[0],
    kernelWidth: 3,
    groups,
  };
  const layout = tileLayout(shape, 4);
  const channels = layout.tileCount * layout.tileChannels;
  const padded = (values: Float32Array) => {
    const all = new Float32Array(channels);
    all.set(values);
    return all;
  };
  const outputVectors = Math.ceil(outChannels / 4);
  const pixels = batch * (pool ? (outputHeight >> 1) * (outputWidth >> 1) : outputHeight * outputWidth);
  const { output } = await dispatch(
    context.runtime,
    conv2dWinogradKernel as unknown as Kernel,
    {
      input: padChannels(input, inChannels),
      weights: tileWeights(weight, layout),
      scale: padded(scale),
      shift: padded(shift),
    },
    { output: pixels * outputVectors * 16 },
    {
      inputHeight: height,
      inputWidth: width,
      inputVectors: Math.ceil(inChannels / 4),
      ...{ outputHeight, outputWidth, outputVectors },
      kernelHeight: kernel[0],
      dilationHeight: dilations[0],
      padTop: pads[0],
      padLeft: pads[1],
      groupVectors: Math.ceil(layout.paddedChannels / 4),
      groupTiles: layout.groupTiles,
      imageCount: batch,
      tileCount: layout.tileCount,
      pool: Number(pool),
      low,
      high,
    },
    { LANES: '4u', TILE_VECTORS: '4u', WORKGROUP_SIZE: size },
  );
  return stripChannels(new Float32Array(output), outChannels);
}

/** The greatest difference over the greatest value. */
function apart(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(actual.length).toBe(wanted.length);
  let [error, most] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    error = Math.max(error, Math.abs(actual[i] - wanted[i]));
    most = Math.max(most, Math.abs(wanted[i]));
  }
  return error / most;
}

describe('conv2d-winograd', () => {
  test('the twin is the convolution itself', () => {
    for (const kase of cases) {
      const { input, weight } = inputsOf(kase);
      const { outChannels } = kase.geometry;
      const ones = new Float32Array(outChannels).fill(1);
      const direct = conv2d(input, weight, ones, new Float32Array(outChannels), [-1e30, 1e30], kase.geometry);
      expect(apart(conv2dWinograd(input, weight, kase.geometry), direct)).toBeLessThan(1e-6);
    }
  });

  test('equals the direct convolution within rounding: every padding, grouping, pool and ragged size', async () => {
    for (const kase of sampled('conv2d-winograd geometries', cases, 10)) {
      const { input, weight, scale, shift } = inputsOf(kase);
      const { geometry, pool, bounds } = kase;
      let want = conv2d(input, weight, scale, shift, bounds, geometry);
      if (pool) want = maxPool2x2(want, [geometry.batch, ...convOutput(geometry), geometry.outChannels]);
      expect(apart(await run(kase, input, weight), want), JSON.stringify(kase)).toBeLessThan(2e-6);
    }
  });

  test('rounds within its bound where sums are long', async () => {
    const geometry: ConvGeometry = {
      ...{ batch: 1, height: 4, width: 8, inChannels: 512, outChannels: 16, groups: 1 },
      ...{ kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
    };
    const kase: Case = { geometry, pool: false, size: 16, bounds: [-1e30, 1e30] };
    const { input, weight, scale, shift } = inputsOf(kase);
    const error = apart(
      await run(kase, input, weight),
      conv2d(input, weight, scale, shift, kase.bounds, geometry),
    );
    console.log(`conv2d-winograd, 3 x 3 x 512: ${error.toExponential(1)} of the largest`);
    expect(error).toBeLessThan(2e-6);
  });

  test('integers are exact', async () => {
    const geometry = { ...cases[0].geometry, batch: 2, groups: 1, inChannels: 16, outChannels: 20 };
    const kase: Case = { geometry, pool: false, size: 16, bounds: [-1e30, 1e30] };
    const { scale, shift } = inputsOf(kase);
    const r = seeded(5);
    const input = Float32Array.from(inputsOf(kase).input, () => r.integer(-128, 127));
    const weight = Float32Array.from(inputsOf(kase).weight, () => r.integer(-128, 127));
    const want = conv2d(input, weight, scale, shift, [-1e30, 1e30], geometry);
    expect(apart(await run(kase, input, weight), want)).toBeLessThan(2e-7);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'an input of %d reaches its own windows, and as the definition says',
    async (value) => {
      const geometry: ConvGeometry = {
        ...{ batch: 1, height: 6, width: 9, inChannels: 4, outChannels: 16, groups: 1 },
        ...{ kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
      };
      const kase: Case = { geometry, pool: false, size: 16, bounds: [-Infinity, Infinity] };
      const { input, weight, scale, shift } = inputsOf(kase);
      input[(2 * 9 + 4) * 4 + 1] = value;
      const want = conv2d(input, weight, scale, shift, kase.bounds, geometry);
      const got = await run(kase, input, weight);
      const odd = (values: Float32Array) => Array.from(values, (x) => (Number.isFinite(x) ? 0 : `${x}`));
      expect(odd(got)).toEqual(odd(want));
      expect(odd(want).filter((x) => x !== 0)).toHaveLength(9 * 16);
    },
  );

  test('the comparison sees a wrong sign', () => {
    const kase = cases.find(({ geometry }) => geometry.kernel[0] > 1)!;
    const { input, weight } = inputsOf(kase);
    const right = conv2dWinograd(input, weight, kase.geometry);
    const wrong = conv2dWinograd(
      input,
      weight.map((w, i) => (i % 3 === 2 ? -w : w)),
      kase.geometry,
    );
    expect(apart(wrong, right)).toBeGreaterThan(1e-3);
  });
});

describe('fitsWinograd, of floats', () => {
  const runtime = { adapter: { software: 'lavapipe', subgroupSize: 8 } } as unknown as Parameters<
    typeof fitsWinograd
  >[0];
  const shape = { outChannels: 64, inChannels: 32, kernelHeight: 3, kernelWidth: 3, groups: 1 };
  const plane: ConvPlane = {
    ...{ inputHeight: 8, inputWidth: 8, outputHeight: 8, outputWidth: 8 },
    ...{ strideHeight: 1, strideWidth: 1, dilationWidth: 1, pixelCount: 256 },
  };
  const square = (size: number) => ({
    ...{ inputHeight: size, inputWidth: size, outputHeight: size, outputWidth: size },
    pixelCount: size * size * 4,
  });

  test('fits the layers of a VGG, and is what lavapipe gets', () => {
    expect(fitsWinograd(runtime, shape, plane, false)).toBe(true);
    expect(chooseTile(runtime, 256, shape, false, plane).variant).toBe('winograd');
    expect(chooseTile(runtime, 16, shape, false, { ...plane, pixelCount: 16 }).variant).toBe('winograd');
    expect(chooseTile(runtime, 8, shape, false, { ...plane, pixelCount: 8 }).variant).toBe('broadcast');
  });

  test('fits planes that blocks hang over a little, and not those that they hang over much', () => {
    const fits = (size: number) => fitsWinograd(runtime, shape, { ...plane, ...square(size) }, false);
    expect([14, 28, 31].map(fits)).toEqual([true, true, true]);
    expect([5, 7].map(fits)).toEqual([false, false]);
  });

  const wrongs: [string, Partial<typeof shape>, Partial<ConvPlane>][] = [
    ['a wider kernel', { kernelWidth: 5 }, {}],
    ['a stride', {}, { strideWidth: 2 }],
    ['a dilation', {}, { dilationWidth: 2 }],
    ['few channels', { outChannels: 16 }, {}],
    ['groups that are no whole tiles', { outChannels: 40, groups: 2 }, {}],
    ['more bytes than a texture has', {}, { pixelCount: 2 ** 26 }],
  ];
  test.each(wrongs)('does not fit %s', (_, other, otherPlane) => {
    expect(fitsWinograd(runtime, { ...shape, ...other }, { ...plane, ...otherPlane }, false)).toBe(false);
  });
});
