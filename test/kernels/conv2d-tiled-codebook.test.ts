import { describe, expect, test } from 'vitest';
import type { TiledTile } from '../../src/conv/tiled-tile.ts';
import { packDense } from '../../src/conv/weight-layout.ts';
import { conv2dTiledCodebookKernel } from '../../src/kernels/conv2d-tiled-codebook.ts';
import { conv2dTiledCodebook } from '../../src/reference/conv2d-tiled-codebook.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { tiledFloatError } from '../support/tiled-float.ts';

describe('conv2d-tiled-codebook', () => {
  const context = useRuntime();
  const tile: TiledTile = {
    tilePixels: 64,
    tileVectors: 8,
    tileWords: 4,
    threadPixels: 8,
    threadVectors: 1,
    buffers: 1,
  };
  const run = (bits: 1 | 2 | 4 | 8, pool: boolean, rotate = 0) =>
    tiledFloatError(context.runtime, {
      kernel: conv2dTiledCodebookKernel,
      tile,
      pool,
      specialization: { CODE_BITS: `${bits}u` },
      weights(count, tiled) {
        const r = seeded(bits);
        // Fewer entries than codes could name, as k-means leaves where there are few distinct weights.
        const entries = bits === 8 ? 200 : 2 ** bits;
        const codebook = r.floats(entries, 0.3);
        const codes = Uint8Array.from({ length: count }, () => r.integer(0, entries - 1));
        const stored = tiled(codes.map((code) => (code + rotate) % entries)) as Uint8Array;
        return {
          values: conv2dTiledCodebook(codes, codebook),
          buffers: { codes: packDense(stored, bits), codebook },
        };
      },
    });

  test.each([1, 2, 4, 8] as const)('equals the float64 twin with codes of %i bits', async (bits) => {
    expect(await run(bits, bits === 4)).toBeLessThan(1e-5);
  });

  test('the comparison sees codes that are one off', async () => {
    expect(await run(4, true, 1)).toBeGreaterThan(1e-5);
  });
});
