import { describe, expect, test } from 'vitest';
import { topK } from '../../src/kernels/top-k.ts';
import { topKReference } from '../../src/reference/top-k.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Rows of few different numbers, which tie often, and of NaN. */
async function apart(
  [rows, size, inners, k]: [number, number, number, number],
  { Element = 'f32', LARGEST = 1, WORKGROUP_SIZE = 64, wrong = {} as object } = {},
) {
  const random = seeded(rows * size + k);
  const words = { f32: Float32Array, i32: Int32Array, u32: Uint32Array }[Element as 'f32'];
  const input = words.from({ length: rows * size }, (_, i) =>
    Element === 'f32' && i % 7 === 3 ? Number.NaN : random.integer(Element === 'u32' ? 0 : -5, 5),
  );
  const params = { rows, size, inners, k };
  const specialization = { Element, LARGEST, IS_FLOAT: Number(Element === 'f32'), WORKGROUP_SIZE };
  const { values, indices } = await dispatch(
    gpu.runtime,
    topK,
    { input },
    { values: rows * k * 4, indices: rows * k * 4 },
    params,
    specialization,
  );
  const twin = { values: new Float64Array(rows * k), indices: new Float64Array(rows * k) };
  topKReference({ input: Float64Array.from(input), ...twin }, params, { LARGEST, ...wrong });
  return Math.max(
    firstApart(new words(values), twin.values, 0),
    firstApart(new Int32Array(indices), twin.indices, 0),
  );
}

describe('top-k', () => {
  test('the largest and the smallest, in every type, along any axis', async () => {
    for (const Element of ['f32', 'i32', 'u32']) {
      for (const LARGEST of [0, 1]) {
        for (const shape of [
          [3, 10, 1, 4],
          [6, 7, 3, 7],
          [10, 65, 5, 1],
        ] as [number, number, number, number][])
          expect(await apart(shape, { Element, LARGEST }), `${Element} ${LARGEST} ${shape}`).toBe(-1);
      }
    }
  });

  test('one element, workgroups around their size, a folded dispatch', async () => {
    for (const size of [1, 63, 64, 65]) expect(await apart([1, size, 1, 1])).toBe(-1);
    expect(await apart([65_536 * 16 + 3, 2, 1, 1], { WORKGROUP_SIZE: 32 })).toBe(-1);
  });

  test('known-wrong orders are told apart', async () => {
    expect(await apart([3, 10, 1, 4], { wrong: { LARGEST: 0 } })).not.toBe(-1);
    expect(await apart([6, 7, 3, 7], { LARGEST: 0, wrong: { LARGEST: 1 } })).not.toBe(-1);
  });
});
