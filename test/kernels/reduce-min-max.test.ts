import { describe, expect, test } from 'vitest';
import { reduceMinMaxKernel } from '../../src/kernels/reduce-min-max.ts';
import type { ChannelLayout } from '../../src/reference/quantize-linear.ts';
import { reduceMinMax } from '../../src/reference/reduce-min-max.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, testUnlessSlow, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function reduce(input: Float32Array, layout: ChannelLayout, slices = 1, workgroupSize = 64) {
  const bytes = layout.axisSize * slices * 4;
  const { minimum, maximum } = await dispatch(
    gpu.runtime,
    reduceMinMaxKernel,
    { input },
    { minimum: bytes, maximum: bytes },
    { count: input.length, ...layout, slices },
    { WORKGROUP_SIZE: workgroupSize },
  );
  return { minimum: new Float32Array(minimum), maximum: new Float32Array(maximum) };
}

async function mismatch(input: Float32Array, layout: ChannelLayout, workgroupSize = 64, twin = reduceMinMax) {
  const actual = await reduce(input, layout, 1, workgroupSize);
  const expected = twin(input, layout);
  return Math.max(
    firstDifference(actual.minimum, expected.minimum),
    firstDifference(actual.maximum, expected.maximum),
  );
}

describe('reduce-min-max', () => {
  for (const count of [1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 4099]) {
    test(`tail(count=${count})`, async () => {
      const input = seeded(count).floats(count);
      expect(await mismatch(input, { axisSize: 1, axisStride: count })).toBe(-1);
      expect(await mismatch(input, { axisSize: 1, axisStride: count }, 256)).toBe(-1);
      // The extremes at the very end must be seen.
      input[count - 1] = 100;
      expect(await mismatch(input, { axisSize: 1, axisStride: count })).toBe(-1);
    });
  }

  test('per axis at every position, and per group with a ragged last one', async () => {
    const input = seeded(1).floats(6 * 35 * 77);
    for (const layout of [
      { axisSize: 6, axisStride: 35 * 77 },
      { axisSize: 35, axisStride: 77 },
      { axisSize: 77, axisStride: 1 },
      { axisSize: Math.ceil(input.length / 32), axisStride: 32 },
      { axisSize: Math.ceil(input.length / 1000), axisStride: 1000 },
      { axisSize: Math.ceil(input.length / 7), axisStride: 7 },
    ]) {
      expect(await mismatch(input, layout)).toBe(-1);
    }
  });

  test('zeros of both signs, subnormals, the largest values, all-zero segments', async () => {
    const input = Float32Array.of(
      0,
      -0,
      -0,
      -0,
      0,
      0,
      1e-45,
      -1e-45,
      3e-39,
      1e-39,
      3.4028235e38,
      -3.4028235e38,
    );
    expect(await mismatch(input, { axisSize: 6, axisStride: 2 })).toBe(-1);
    expect(await mismatch(new Float32Array(300), { axisSize: 3, axisStride: 100 })).toBe(-1);
  });

  test('slices reduce in a second pass to the same result, twice', async () => {
    const input = seeded(2).floats(3 * 50_001);
    const layout = { axisSize: 3, axisStride: 50_001 };
    const expected = reduceMinMax(input, layout);
    for (const slices of [2, 7, 1000]) {
      const parts = await reduce(input, layout, slices);
      const second = { axisSize: 3, axisStride: slices };
      const { minimum } = await reduce(parts.minimum, second);
      const { maximum } = await reduce(parts.maximum, second);
      expect([...minimum, ...maximum]).toEqual([...expected.minimum, ...expected.maximum]);
    }
  });

  test('a NaN is found', async () => {
    const input = seeded(3).floats(500);
    input[321] = Number.NaN;
    const { minimum, maximum } = await reduce(input, { axisSize: 1, axisStride: 500 });
    expect(Number.isNaN(minimum[0] + maximum[0])).toBe(true);
  });

  testUnlessSlow('more than 65,535 segments are folded into y', async () => {
    const input = seeded(4).floats(65_537 * 3 + 1);
    expect(await mismatch(input, { axisSize: 65_538, axisStride: 3 })).toBe(-1);
  });

  test('known-wrong reductions are told apart', async () => {
    const input = seeded(5).floats(640);
    for (let i = 0; i < 10; i++) input[i * 64 + 63] = i % 2 ? 50 : -50;
    const layout = { axisSize: 10, axisStride: 64 };
    const wrongs: Record<string, typeof reduceMinMax> = {
      'tail off by one': (values, l) => reduceMinMax(values.subarray(0, -1), l),
      'starts from 0': (values, l) => {
        const { minimum, maximum } = reduceMinMax(values, l);
        return { minimum: minimum.map((x) => Math.min(x, 0)), maximum: maximum.map((x) => Math.max(x, 0)) };
      },
      'axes swapped': (values) => reduceMinMax(values, { axisSize: 10, axisStride: 1 }),
    };
    const positive = input.map((x) => Math.abs(x) + 1);
    expect(await mismatch(positive, layout)).toBe(-1);
    for (const [name, twin] of Object.entries(wrongs)) {
      const found = [await mismatch(input, layout, 64, twin), await mismatch(positive, layout, 64, twin)];
      expect(Math.max(...found), name).not.toBe(-1);
    }
  });
});
