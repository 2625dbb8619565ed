import { describe, expect, test } from 'vitest';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/conv/requantize.ts';
import { sumSplitsInt8Kernel } from '../../src/kernels/sum-splits-int8.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { sumSplitsInt8 } from '../../src/reference/sum-splits-int8.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

/** `vectors` may exceed what the output holds: tiles are padded. */
async function run(
  {
    splits,
    pixels,
    vectors,
    words,
    pool,
  }: { splits: number; pixels: number; vectors: number; words: number; pool: boolean },
  specialization: Record<string, string>,
  multipliers: Uint32Array,
  [low, high]: readonly number[] = [-100, 120],
) {
  const r = seeded(splits + pixels + vectors);
  const partial = Int32Array.from({ length: splits * pixels * vectors * 4 }, () => r.integer(-4096, 4096));
  const bias = Int32Array.from({ length: vectors * 4 }, () => r.integer(-512, 512));
  const rows = pool ? pixels / 4 : pixels;
  const { output } = await dispatch(
    context.runtime,
    sumSplitsInt8Kernel,
    { partial, bias, multipliers },
    { output: rows * words * 4 },
    {
      splits,
      pixelCount: pixels,
      vectorCount: vectors,
      outputWords: words,
      pool: Number(pool),
      zeroPoint: 3,
      low,
      high,
    },
    { WORKGROUP_SIZE: 32 as never, ...specialization },
  );
  return { output, sums: sumSplitsInt8(partial, splits, bias, pool) };
}

describe('sum-splits-int8', () => {
  test('adds every split, bias and pool, and writes its own channels only', async () => {
    for (const [splits, pixels, vectors, words, pool] of [
      [1, 1, 1, 1, false],
      [2, 37, 3, 10, false],
      [7, 44, 2, 5, true],
      [16, 8, 4, 16, true],
    ] as const) {
      const shape = { splits, pixels, vectors, words, pool };
      const { output, sums } = await run(shape, { OUTPUT: '1u' }, new Uint32Array(vectors * 8));
      const want = sums.filter((_, i) => i % (vectors * 4) < words);
      expect(firstDifference(new Int32Array(output), want), JSON.stringify(shape)).toBe(-1);
      // Without its last split a sum is another one: the comparison would see it.
      expect(
        firstDifference(
          new Int32Array(output),
          want.map((sum) => sum + 1),
        ),
      ).toBe(0);
    }
  });

  test('leaves floats within the bounds of a fused activation', async () => {
    const shape = { splits: 3, pixels: 60, vectors: 3, words: 10, pool: true };
    const scales = Float32Array.from({ length: 24 }, (_, i) => (i % 2 ? 0 : 2 ** -(i >> 2)));
    const bounds = [0, 600];
    const words = new Int32Array(Float32Array.from(bounds).buffer);
    const { output, sums } = await run(shape, { OUTPUT: '2u' }, new Uint32Array(scales.buffer), [...words]);
    const want = Float32Array.from(
      [...sums].flatMap((sum, i) => (i % 12 < 10 ? [sum * scales[(i % 12) * 2]] : [])),
      (value) => Math.min(bounds[1], Math.max(bounds[0], value)),
    );
    for (const end of bounds) expect(want).toContain(end);
    expect(firstDifference(new Float32Array(output), want)).toBe(-1);
  });

  test.each(requantizeRules)('requantizes by %s on ties', async (rule) => {
    const shape = { splits: 3, pixels: 60, vectors: 3, words: 3, pool: true };
    const weightScale = Float32Array.from({ length: 12 }, (_, i) => 2 ** -(i % 4));
    const words = prepareMultipliers(rule, 0.5, weightScale, 16);
    const REQUANTIZE = await requantizeConstant(context.runtime, rule);
    const { output, sums } = await run(shape, { OUTPUT: '0u', REQUANTIZE }, words);
    const settings = { inputScale: 0.5, outputScale: 16, zeroPoint: 3, low: -100, high: 120 };
    const want = Int8Array.from(sums, (sum, i) =>
      requantizeReference(rule, sum, { ...settings, weightScale: weightScale[i % 12] }),
    );
    expect(firstDifference(new Int8Array(output), want)).toBe(-1);
  });
});
