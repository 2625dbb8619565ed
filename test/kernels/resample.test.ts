import { describe, expect, test } from 'vitest';
import { resample } from '../../src/kernels/resample.ts';
import { resampleReference } from '../../src/reference/resample.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Shape {
  outer: number;
  size: number;
  length: number;
  inners: number;
  taps: number;
}

async function apart(
  { outer, size, length, inners, taps }: Shape,
  wrong: Record<string, number> = {},
  workgroup = 64,
) {
  const random = seeded(size * 5 + length);
  const input = random.floats(outer * size * inners);
  const places = Int32Array.from({ length: length * taps }, () => random.integer(0, size - 1));
  // Every fifth output lies outside; every seventh tap counts for nothing and would be NaN.
  for (let j = 4; j < length; j += 5) places[j * taps] = -1;
  const weights = random.floats(length * taps).map((weight, i) => (i % 7 === 3 ? 0 : weight));
  const params = { count: outer * length * inners, size, length, inners, taps, outside: 9.5 };
  const { output } = await dispatch(
    gpu.runtime,
    resample,
    { input, places, weights },
    { output: params.count * 4 },
    params,
    { WORKGROUP_SIZE: workgroup },
  );
  const twin = new Float64Array(params.count);
  const doubles = {
    input: Float64Array.from(input),
    places: Float64Array.from(places),
    weights: Float64Array.from(weights),
  };
  resampleReference({ ...doubles, output: twin }, { ...params, ...wrong });
  return firstApart(new Float32Array(output), twin, 1e-5);
}

describe('resample', () => {
  test('axes inside and outside, one tap and many, ragged', async () => {
    for (const shape of [
      { outer: 1, size: 1, length: 1, inners: 1, taps: 1 },
      { outer: 3, size: 7, length: 11, inners: 1, taps: 2 },
      { outer: 2, size: 9, length: 4, inners: 13, taps: 6 },
      { outer: 1, size: 5, length: 21, inners: 3, taps: 4 },
    ]) {
      expect(await apart(shape), JSON.stringify(shape)).toBe(-1);
    }
  });

  test('a weight of 0 keeps NaN out', async () => {
    const { output } = await dispatch(
      gpu.runtime,
      resample,
      {
        input: Float32Array.of(Number.NaN, 2),
        places: Int32Array.of(0, 1),
        weights: Float32Array.of(0, 0.5),
      },
      { output: 4 },
      { count: 1, size: 2, length: 1, inners: 1, taps: 2, outside: 0 },
    );
    expect([...new Float32Array(output)]).toEqual([1]);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await apart({ outer: 65_537, size: 2, length: 16, inners: 2, taps: 1 }, {}, 32)).toBe(-1);
  });

  test('known-wrong averages are told apart', async () => {
    const shape = { outer: 2, size: 9, length: 5, inners: 3, taps: 4 };
    expect(await apart(shape, { outside: 0 })).not.toBe(-1);
    expect(await apart(shape, { size: 8 })).not.toBe(-1);
    expect(await apart(shape, { inners: 1 })).not.toBe(-1);
  });
});
