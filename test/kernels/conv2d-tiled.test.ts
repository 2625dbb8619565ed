import { describe, expect, test } from 'vitest';
import type { TiledTile } from '../../src/conv/tiled-tile.ts';
import { conv2dTiledKernel } from '../../src/kernels/conv2d-tiled.ts';
import { testConv2d } from '../support/conv2d.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { tiledFloatError } from '../support/tiled-float.ts';

describe('conv2d-tiled', () => {
  testConv2d('lavapipe', { kernels: 'tiled' }, { sample: 6 });

  const context = useRuntime();
  const small = {
    tilePixels: 32,
    tileVectors: 16,
    tileWords: 8,
    threadPixels: 4,
    threadVectors: 2,
    buffers: 2,
  };
  const wide = {
    tilePixels: 64,
    tileVectors: 8,
    tileWords: 4,
    threadPixels: 8,
    threadVectors: 1,
    buffers: 1,
  };
  const run = (tile: object, pool: boolean, change = (weights: Float32Array) => weights) =>
    tiledFloatError(context.runtime, {
      kernel: conv2dTiledKernel,
      tile: tile as TiledTile,
      pool,
      weights(count, tiled) {
        const values = seeded(3).floats(count, 0.3);
        return { values, buffers: { weights: tiled(change(values.slice())) } };
      },
    });

  test('equals the float64 twin in 1e-5 of the terms, whole and pooled, one buffer and two', async () => {
    expect(await run(small, true)).toBeLessThan(1e-5);
    expect(await run(wide, false)).toBeLessThan(1e-5);
  });

  test('the comparison sees the largest weight changed by a thousandth', async () => {
    const largest = (weights: Float32Array) => {
      const most = weights.reduce((max, w) => Math.max(max, Math.abs(w)), 0);
      return weights.map((w) => (Math.abs(w) === most ? w * 1.001 : w));
    };
    expect(await run(wide, false, largest)).toBeGreaterThan(1e-5);
  });
});
