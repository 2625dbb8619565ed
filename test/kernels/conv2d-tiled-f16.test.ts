import { describe, expect, test } from 'vitest';
import { chooseFloat } from '../../src/conv/float-choice.ts';
import type { TiledTile } from '../../src/conv/tiled-tile.ts';
import { float16ToFloat32, float32ToFloat16 } from '../../src/io/tensor.ts';
import { conv2dTiledF16Kernel } from '../../src/kernels/conv2d-tiled-f16.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { tiledFloatError } from '../support/tiled-float.ts';

describe('conv2d-tiled-f16', () => {
  const context = useRuntime();
  const tile: TiledTile = {
    tilePixels: 64,
    tileVectors: 8,
    tileWords: 4,
    threadPixels: 8,
    threadVectors: 1,
    buffers: 2,
  };
  const has = () => context.runtime.device.features.has('shader-f16');
  const run = (pool: boolean, wrong = 1) =>
    tiledFloatError(context.runtime, {
      kernel: conv2dTiledF16Kernel,
      tile,
      pool,
      weights(count, tiled) {
        const values = float16ToFloat32(float32ToFloat16(seeded(3).floats(count, 0.3)));
        const stored = tiled(values.map((value) => value * wrong)) as Float32Array;
        return { values, buffers: { weights: float32ToFloat16(stored) } };
      },
    });

  test('equals the float64 twin in f16 rounding of input and 16 sums', async () => {
    if (!has()) {
      console.log('1 test skipped: the adapter lacks shader-f16');
      return;
    }
    // An input and each of a step's 16 sums rounds by 2^-11 at most.
    expect(await run(false)).toBeLessThan(17 * 2 ** -11);
    expect(await run(true)).toBeLessThan(17 * 2 ** -11);
    expect(await run(false, 1.02)).toBeGreaterThan(17 * 2 ** -11);
  });

  test('is refused without the feature, and in registers', () => {
    const { runtime } = context;
    const shape = { outChannels: 8, inChannels: 8, kernelHeight: 1, kernelWidth: 1, groups: 1 };
    const bare = { ...runtime, device: { features: new Set(), limits: runtime.device.limits } } as never;
    expect(() => chooseFloat(bare, 64, shape, { float16: true, kernels: 'tiled' })).toThrow(/shader-f16/);
    if (!has()) return;
    expect(() => chooseFloat(runtime, 64, shape, { float16: true, kernels: 'registers' })).toThrow(/tiled/);
  });
});
