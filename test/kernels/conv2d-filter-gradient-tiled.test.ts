import { describe, expect, test } from 'vitest';
import { tileLayout, untileWeights } from '../../src/conv/weight-layout.ts';
import { conv2dFilterGradientTiledKernel } from '../../src/kernels/conv2d-filter-gradient-tiled.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { type ConvGeometry, convOutput } from '../../src/reference/conv2d-int8.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import {
  chooseFilterTile,
  type FilterTile,
  filterChunk,
  filterSpecialization,
  filterThreads,
  filterTiles,
} from '../../src/train/filter-tile.ts';
import { testFilterGradient } from '../support/conv2d-gradients.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

describe('conv2d-filter-gradient-tiled', () => {
  testFilterGradient(conv2dFilterGradientTiledKernel, (random) =>
    filterSpecialization(random.pick(filterTiles)),
  );

  const context = useRuntime();

  /** Ragged in every direction of every tile: 23 row vectors a tap, 35 columns, images smaller than a step's pixels. */
  const ragged: ConvGeometry = {
    batch: 11,
    height: 4,
    width: 3,
    inChannels: 90,
    outChannels: 138,
    kernel: [2, 3],
    strides: [2, 1],
    dilations: [1, 2],
    pads: [1, 2, 0, 1],
    groups: 1,
  };

  const error = async (tile: FilterTile, change = (input: Float32Array) => input) => {
    const { batch, height, width, inChannels, outChannels } = ragged;
    const random = seeded(5);
    const [outHeight, outWidth] = convOutput(ragged);
    const input = random.floats(batch * height * width * inChannels);
    const gradient = random.floats(batch * outHeight * outWidth * outChannels);
    const layout = tileLayout({ outChannels, inChannels, kernelHeight: 2, kernelWidth: 3, groups: 1 }, 4);
    const pixelCount = batch * outHeight * outWidth;
    const chunk = 37;
    const splits = Math.ceil(pixelCount / chunk);
    const { partial } = await dispatch(
      context.runtime,
      conv2dFilterGradientTiledKernel,
      {
        input: g.padChannels(change(input.slice()), inChannels),
        gradient: g.padChannels(gradient, outChannels),
      },
      { partial: splits * layout.length * 4 },
      { ...g.convParams(ragged), inputVectors: 23, pixelCount, chunk },
      filterSpecialization(tile),
    );
    const sums = Float32Array.from(sumSplits(new Float32Array(partial), splits));
    const got = untileWeights(sums, layout);
    expect(sums.filter((v) => v !== 0).length).toBeLessThanOrEqual(got.length);
    return g.relativeL2(got, conv2dFilterGradient(input, gradient, ragged));
  };

  test.each(filterTiles)(
    'tile $tileRows x $tileColumns x $tilePixels is within 1e-6 of the twin',
    async (tile) => {
      expect(await error(tile)).toBeLessThan(1e-6);
    },
  );

  test('the comparison sees one input changed by a hundredth', async () => {
    const changed = (input: Float32Array) => {
      input[input.length >> 1] += 0.01;
      return input;
    };
    expect(await error(filterTiles[2], changed)).toBeGreaterThan(1e-6);
  });
});

describe('the tile of a filter gradient', () => {
  test('stages evenly, within what every adapter has', () => {
    for (const tile of filterTiles) {
      const threads = filterThreads(tile);
      const lanes = threads / tile.tilePixels;
      for (const size of [lanes, tile.tileRows / lanes, tile.tileColumns / lanes])
        expect(Number.isInteger(size)).toBe(true);
      expect(threads).toBeLessThanOrEqual(256);
      expect(2 * tile.tilePixels * (tile.tileRows + tile.tileColumns) * 16).toBeLessThanOrEqual(16384);
    }
  });

  test('is large for wide layers and narrow for few channels', () => {
    const sizeOf = (rows: number, columns: number) => {
      const { tileRows, tileColumns } = chooseFilterTile({ rows, columns, pixelCount: 4096 });
      return [tileRows, tileColumns];
    };
    expect(sizeOf(576, 64)).toEqual([32, 32]);
    expect(sizeOf(9, 16)).toEqual([16, 16]);
    expect(sizeOf(128, 3)).toEqual([16, 4]);
  });

  test('fills a GPU by splits of at least 64 pixels, whose sums fit 64 MiB', () => {
    for (const [rows, columns, pixelCount] of [
      [9, 16, 256_000],
      [576, 64, 64_000],
      [1152, 128, 4000],
      [128, 3, 250],
      [1, 1, 1],
    ]) {
      const gemm = { rows, columns, pixelCount };
      const tile = chooseFilterTile(gemm);
      const length = rows * Math.ceil(columns / 4) * 64;
      const chunk = filterChunk(tile, gemm, length);
      const splits = Math.ceil(pixelCount / chunk);
      expect(chunk).toBeGreaterThanOrEqual(64);
      expect(splits * length * 4).toBeLessThanOrEqual(64 << 20);
      const workgroups = splits * Math.ceil(rows / tile.tileRows) * Math.ceil(columns / tile.tileColumns);
      if (pixelCount >= 4000) expect(workgroups).toBeGreaterThanOrEqual(500);
    }
  });
});
