import { describe, expect, test } from 'vitest';
import { conv2dInt8, matmulInt8 } from '../../src/conv/conv-int8.ts';
import { type TiledTile, tiledSpecialization } from '../../src/conv/tiled-tile.ts';
import { packTiles, tileLayout } from '../../src/conv/weight-layout.ts';
import { conv2dInt8TiledKernel } from '../../src/kernels/conv2d-int8-tiled.ts';
import {
  type ConvGeometry,
  conv2dAccumulators,
  convOutput,
  maxPool2x2,
} from '../../src/reference/conv2d-int8.ts';
import { splitSums } from '../../src/reference/conv2d-int8-tiled.ts';
import { matmulAccumulators } from '../../src/reference/matmul-int8.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

const random = seeded(23);
const cases = Array.from({ length: 40 }, (_, seed) => {
  const groups = random.pick([1, 1, 1, 2, 3]);
  return {
    seed,
    pool: random.next() < 0.4,
    geometry: {
      batch: random.integer(1, 3),
      height: random.integer(5, 13),
      width: random.integer(5, 13),
      inChannels: groups * random.pick([1, 3, 4, 8, 17, 32]),
      outChannels: groups * random.pick([1, 3, 8, 32, 70]),
      kernel: [random.integer(1, 4), random.integer(1, 4)],
      strides: [random.integer(1, 3), random.integer(1, 2)],
      dilations: [random.integer(1, 2), 1],
      pads: [random.integer(2, 4), random.integer(0, 2), random.integer(2, 4), random.integer(0, 2)],
      groups,
    } as ConvGeometry,
  };
}).filter(({ geometry, pool }) => convOutput(geometry).every((n) => n >= (pool ? 2 : 1)));

/** One of each: shape, threads' shares, buffering. A software adapter takes seconds to compile one. */
const TILES: { tile: TiledTile; bits: 8 | 4 | 2; pool: boolean }[] = [
  {
    tile: { tilePixels: 64, tileVectors: 16, tileWords: 16, threadPixels: 8, threadVectors: 2, buffers: 1 },
    bits: 8,
    pool: false,
  },
  {
    tile: { tilePixels: 32, tileVectors: 16, tileWords: 16, threadPixels: 4, threadVectors: 2, buffers: 2 },
    bits: 4,
    pool: true,
  },
  {
    tile: { tilePixels: 16, tileVectors: 16, tileWords: 16, threadPixels: 4, threadVectors: 1, buffers: 1 },
    bits: 2,
    pool: false,
  },
  {
    tile: { tilePixels: 64, tileVectors: 8, tileWords: 8, threadPixels: 8, threadVectors: 1, buffers: 2 },
    bits: 8,
    pool: true,
  },
];

/** 3x3 over 2 images of 7 x 9 x 12, padded by 1, 44 output channels: ragged in every direction of every tile. */
const geometry: ConvGeometry = {
  batch: 2,
  height: 7,
  width: 9,
  inChannels: 12,
  outChannels: 44,
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
  groups: 1,
};

/** The kernel itself: its i32 sums, `splits` of them an output when split. */
async function run(tile: TiledTile, pool: boolean, splits: number, bits: 8 | 4 | 2, padCode: number) {
  const r = seeded(bits);
  const { batch, height, width, inChannels, outChannels } = geometry;
  const input = r.int8s(batch * height * width * inChannels);
  const weight = r.int8s(outChannels * inChannels * 9, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
  const bias = Int32Array.from({ length: outChannels }, () => r.integer(-99, 99));
  const shape = { outChannels, inChannels, kernelHeight: 3, kernelWidth: 3, groups: 1 };
  const layout = tileLayout(shape, tile.tileVectors);
  const channels = layout.tileCount * layout.tileChannels;
  const padded = new Int32Array(channels);
  padded.set(bias);
  const pixelCount = batch * (pool ? (height >> 1) * (width >> 1) * 4 : height * width);
  const words = splits > 1 ? splits * pixelCount * channels : (pixelCount / (pool ? 4 : 1)) * outChannels;
  const { output } = await dispatch(
    context.runtime,
    conv2dInt8TiledKernel,
    {
      input,
      weights: packTiles(weight, layout, bits),
      bias: padded,
      multipliers: new Uint32Array(channels * 2),
    },
    { output: words * 4 },
    {
      inputHeight: height,
      inputWidth: width,
      inputWords: 3,
      outputHeight: height,
      outputWidth: width,
      outputWords: outChannels,
      kernelHeight: 3,
      kernelWidth: 3,
      strideHeight: 1,
      strideWidth: 1,
      dilationHeight: 1,
      dilationWidth: 1,
      padTop: 1,
      padLeft: 1,
      groupWords: 3,
      groupTiles: layout.groupTiles,
      pixelCount,
      tileCount: layout.tileCount,
      pool: Number(pool),
      splits,
      padWord: ((padCode & 255) * 0x01010101) >>> 0,
      zeroPoint: 0,
      low: -128,
      high: 127,
    },
    {
      ...tiledSpecialization(tile, 3),
      OUTPUT: '1u',
      SPLIT: splits > 1 ? '1u' : '0u',
      WEIGHT_BITS: `${bits}u`,
    },
  );
  return { actual: new Int32Array(output), input, weight, bias, channels, pixelCount };
}

describe('conv2d-int8-tiled', () => {
  test('equals the twin in every tile shape and at every weight width', async () => {
    for (const { tile, bits, pool } of sampled('tiles', TILES, 4)) {
      const { actual, input, weight, bias } = await run(tile, pool, 1, bits, 0);
      const all = conv2dAccumulators(input, weight, bias, 0, geometry);
      const want = pool ? maxPool2x2(all, [2, 7, 9, 44]) : all;
      expect(firstDifference(actual, want), JSON.stringify({ ...tile, bits, pool })).toBe(-1);
    }
  });

  test('a split leaves the sums of its own share of k, padding included', async () => {
    for (const { tile, bits, pool } of TILES.slice(2)) {
      const splits = tile.buffers + 4; // 27 words of k: the later splits are empty
      const { actual, input, weight, channels, pixelCount } = await run(tile, pool, splits, bits, 5);
      const { tileWords } = tile;
      const want = splitSums(input, weight, 5, geometry, { pool, splits, tileWords });
      const unpadded = Int32Array.from({ length: want.length }, (_, i) => {
        return actual[Math.floor(i / 44) * channels + (i % 44)];
      });
      expect(unpadded).toEqual(want);
      expect(actual.length).toBe(splits * pixelCount * channels);
    }
  });

  test('the comparison sees a wrong padding', async () => {
    const { tile, bits } = TILES[0];
    const { actual, input, weight, bias } = await run(tile, false, 1, bits, 1);
    expect(firstDifference(actual, conv2dAccumulators(input, weight, bias, 0, geometry))).not.toBe(-1);
  });

  test('through conv2dInt8: every stride, padding, dilation and grouping', async () => {
    for (const kase of sampled('conv2d-int8-tiled geometries', cases, 8)) {
      const g = kase.geometry;
      const r = seeded(kase.seed);
      const input = r.int8s(g.batch * g.height * g.width * g.inChannels);
      const weight = r.int8s((g.outChannels * g.inChannels * g.kernel[0] * g.kernel[1]) / g.groups);
      const bias = Int32Array.from({ length: g.outChannels }, () => r.integer(-5000, 5000));
      const inputZeroPoint = r.pick([0, -128, 127, 3]);
      const output = await conv2dInt8(
        context.runtime,
        { dtype: 'int8', dims: [g.batch, g.height, g.width, g.inChannels], data: input },
        { dtype: 'int8', dims: [g.outChannels, g.inChannels / g.groups, ...g.kernel], data: weight },
        {
          strides: g.strides,
          dilations: g.dilations,
          pads: g.pads,
          groups: g.groups,
          pool: kase.pool,
          bias,
          inputZeroPoint,
          kernels: 'tiled',
        },
      );
      const all = conv2dAccumulators(input, weight, bias, inputZeroPoint, g);
      const want = kase.pool ? maxPool2x2(all, [g.batch, ...convOutput(g), g.outChannels]) : all;
      expect(firstDifference(output.data, want), JSON.stringify(kase)).toBe(-1);
    }
  });

  // The second shape is small and deep: its k is split, and sum-splits-int8 requantizes (and tests every rule).
  test('requantizes on ties, split and whole', async () => {
    const rule = 'ort-f32';
    for (const [H, C, pool] of [
      [11, 8, true],
      [4, 128, false],
    ] as const) {
      const r = seeded(H + C);
      const g = { ...geometry, batch: 1, height: H, width: H, inChannels: C, outChannels: 20 };
      const input = r.int8s(H * H * C);
      const weight = r.int8s(20 * C * 9);
      const weightScale = Float32Array.from({ length: 20 }, (_, i) => 2 ** -(i % 4));
      const { data } = await conv2dInt8(
        context.runtime,
        { dtype: 'int8', dims: [1, H, H, C], data: input },
        { dtype: 'int8', dims: [20, C, 3, 3], data: weight },
        {
          pads: [1, 1, 1, 1],
          pool,
          inputScale: 0.5,
          weightScale,
          outputScale: 256,
          outputZeroPoint: 3,
          low: 3,
          inputZeroPoint: 7,
          requantize: rule,
          kernels: 'tiled',
        },
      );
      const all = conv2dAccumulators(input, weight, new Int32Array(20), 7, g);
      const sums = pool ? maxPool2x2(all, [1, H, H, 20]) : all;
      const settings = { inputScale: 0.5, outputScale: 256, zeroPoint: 3, low: 3, high: 127 };
      const want = Int8Array.from(sums, (acc, i) =>
        requantizeReference(rule, acc, { ...settings, weightScale: weightScale[i % 20] }),
      );
      expect(firstDifference(data, want), `${rule} ${H} ${C} ${pool}`).toBe(-1);
    }
  });

  test('multiplies matrices, ragged and split', async () => {
    const shapes = [
      [3, 130, 9],
      [5, 2050, 12],
      [65, 64, 129],
    ];
    for (const [M, K, N] of sampled('shapes', shapes, 3)) {
      const r = seeded(M + K + N);
      const a = r.int8s(M * K);
      const b = r.int8s(K * N);
      const bias = Int32Array.from({ length: N }, () => r.integer(-(2 ** 20), 2 ** 20));
      const output = await matmulInt8(
        context.runtime,
        { dtype: 'int8', dims: [M, K], data: a },
        { dtype: 'int8', dims: [K, N], data: b },
        { bias, inputZeroPoint: -9, kernels: 'tiled' },
      );
      expect(output.data, `${M}x${K}x${N}`).toEqual(matmulAccumulators(a, b, bias, -9, [M, K, N]));
    }
  });

  test('refuses an unknown family', async () => {
    const a = { dtype: 'int8', dims: [1, 1], data: new Int8Array(1) } as const;
    const wrong = matmulInt8(context.runtime, a, a, { kernels: 'fast' as never });
    await expect(wrong).rejects.toThrow(/'auto', 'registers', 'tiled', 'tensor'/);
  });
});
