import { describe, expect, test } from 'vitest';
import { softmax } from '../../src/kernels/softmax.ts';
import { softmaxReference } from '../../src/reference/softmax.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function apart(
  [rows, size, inners]: [number, number, number],
  specialization: { LANES: number; LOG: number },
  { scale = 3, wrong = {} as Record<string, number> } = {},
) {
  const input = seeded(rows + size).floats(rows * size, scale);
  const params = { rows, size, inners };
  const { output } = await dispatch(
    gpu.runtime,
    softmax,
    { input },
    { output: input.byteLength },
    params,
    specialization,
  );
  const twin = new Float64Array(input.length);
  softmaxReference(
    { input: Float64Array.from(input), output: twin },
    { ...params, ...wrong },
    { ...specialization, ...wrong },
  );
  return firstApart(new Float32Array(output), twin, 3e-6);
}

describe('softmax', () => {
  test('rows in one piece and side by side, by one thread and by many', async () => {
    for (const shape of [
      [1, 1, 1],
      [3, 10, 1],
      [6, 5, 3],
      [65, 7, 65],
      [5, 200, 1],
      [4, 65, 2],
    ] as [number, number, number][]) {
      for (const LANES of [1, 64]) {
        for (const LOG of [0, 1])
          expect(await apart(shape, { LANES, LOG }), `${shape} ${LANES} ${LOG}`).toBe(-1);
      }
    }
  });

  test('values that overflow without their maximum taken off; a folded dispatch', async () => {
    expect(await apart([4, 33, 1], { LANES: 1, LOG: 0 }, { scale: 500 })).toBe(-1);
    expect(await apart([65_537, 3, 1], { LANES: 64, LOG: 0 })).toBe(-1);
  });

  test('known-wrong softmaxes are told apart', async () => {
    expect(await apart([6, 5, 3], { LANES: 1, LOG: 0 }, { wrong: { inners: 1 } })).not.toBe(-1);
    expect(await apart([6, 5, 3], { LANES: 1, LOG: 0 }, { wrong: { LOG: 1 } })).not.toBe(-1);
  });
});
