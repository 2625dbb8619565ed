import { describe, expect, test } from 'vitest';
import { matmulInt8 } from '../../src/conv/conv-int8.ts';
import { chooseInt8, int8Dispatches, matmulGeometry } from '../../src/conv/kernel-choice.ts';
import { packTiles, tileLayout } from '../../src/conv/weight-layout.ts';
import { matvecInt8Kernel } from '../../src/kernels/matvec-int8.ts';
import { matvecAccumulators } from '../../src/reference/matvec-int8.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

describe('matvec-int8', () => {
  const run = async (
    rows: number,
    K: number,
    N: number,
    bits: 8 | 4 | 2,
    vectors: number,
    splits: number,
    size: number,
    bounds?: readonly [number, number],
  ) => {
    const r = seeded(K + N + bits);
    const [low, high] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
    const a = r.int8s(rows * K);
    const b = r.int8s(N * K, low, high);
    const bias = Int32Array.from({ length: N }, () => r.integer(-999, 999));
    const layout = tileLayout(
      { outChannels: N, inChannels: K, kernelHeight: 1, kernelWidth: 1, groups: 1 },
      vectors,
    );
    const channels = layout.tileCount * layout.tileChannels;
    const words = layout.paddedChannels / 4;
    const input = new Int8Array(rows * words * 4);
    for (let m = 0; m < rows; m++) input.set(a.subarray(m * K, (m + 1) * K), m * words * 4);
    const padded = new Int32Array(channels);
    padded.set(bias);
    const [lowWord, highWord] = new Int32Array(Float32Array.from(bounds ?? [0, 0]).buffer);
    const { output } = await dispatch(
      context.runtime,
      matvecInt8Kernel,
      {
        input,
        weights: packTiles(b, layout, bits),
        bias: padded,
        multipliers: new Float32Array(channels * 2).fill(0.25),
      },
      { output: (splits > 1 ? splits * rows * channels : rows * N) * 4 },
      {
        inputWords: words,
        outputWords: N,
        pixelCount: rows,
        tileCount: layout.tileCount,
        splits,
        zeroPoint: 0,
        low: lowWord,
        high: highWord,
      },
      {
        TILE_VECTORS: `${vectors}u`,
        WORKGROUP_SIZE: `${size}u`,
        WEIGHT_BITS: `${bits}u`,
        OUTPUT: bounds ? '2u' : '1u',
        SPLIT: splits > 1 ? '1u' : '0u',
      },
    );
    const columns = new Int8Array(K * N);
    for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) columns[k * N + n] = b[n * K + k];
    const sums = new Int32Array(output);
    const want = (plus: Int32Array) => matvecAccumulators(a, columns, plus, 0, [rows, K, N]);
    if (bounds) {
      const floats = Float32Array.from(want(bias), (sum) =>
        Math.min(bounds[1], Math.max(bounds[0], sum / 4)),
      );
      for (const end of bounds) expect(floats).toContain(end);
      return firstDifference(new Float32Array(output), floats);
    }
    if (splits === 1) return firstDifference(sums, want(bias));
    const added = Int32Array.from({ length: rows * N }, (_, i) => {
      const at = Math.floor(i / N) * channels + (i % N);
      return Array.from({ length: splits }, (_, s) => sums[s * rows * channels + at]).reduce((x, y) => x + y);
    });
    return firstDifference(added, want(new Int32Array(N)));
  };

  test.each([
    [1, 300, 70, 8, 16, 1, 256],
    [3, 37, 9, 4, 8, 1, 64],
    [2, 513, 20, 2, 4, 3, 128],
    [1, 5, 3, 8, 1, 7, 64],
  ] as const)(
    '%i x %i times %i columns, %i bits, %i vectors, %i splits, %i threads',
    async (rows, K, N, bits, vectors, splits, size) => {
      expect(await run(rows, K, N, bits, vectors, splits, size)).toBe(-1);
    },
  );

  test('leaves floats within the bounds of a fused activation', async () => {
    expect(await run(2, 300, 70, 8, 16, 1, 256, [0, 6000])).toBe(-1);
  });

  test('serves few rows only, and gives the same codes as tiles and registers', async () => {
    const { runtime } = context;
    const shape = { outChannels: 80, inChannels: 600, kernelHeight: 1, kernelWidth: 1, groups: 1 };
    const kernelsOf = (M: number) => {
      const params = { ...matmulGeometry(M), tileCount: 2, groupTiles: 2, inputWords: 150, groupWords: 150 };
      const choice = chooseInt8(runtime, M, shape, 'tiled');
      return int8Dispatches(choice, { OUTPUT: '1u' }, params).map(({ kernel }) => kernel.declaration.name);
    };
    expect(kernelsOf(4)[0]).toBe('matvec-int8');
    expect(kernelsOf(5)[0]).toBe('conv2d-int8-tiled');
    const r = seeded(8);
    const a = { dtype: 'int8', dims: [4, 600], data: r.int8s(4 * 600) } as const;
    const b = { dtype: 'int8', dims: [600, 80], data: r.int8s(600 * 80) } as const;
    const options = { inputScale: 0.5, outputScale: 512, outputZeroPoint: 3, inputZeroPoint: -9 };
    const tiled = await matmulInt8(runtime, a, b, { ...options, kernels: 'tiled' });
    const registers = await matmulInt8(runtime, a, b, { ...options, kernels: 'registers' });
    expect(tiled.data).toEqual(registers.data);
    expect(new Set(tiled.data).size).toBeGreaterThan(50);
  });
});
