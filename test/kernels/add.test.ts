import { describe, expect, test } from 'vitest';
import { add } from '../../src/kernels/add.ts';
import { addReference } from '../../src/reference/add.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const FINITE = 3.4028234663852886e38;

async function mismatch(vectors: number, low: number, high: number, twin = addReference, workgroup = 64) {
  const random = seeded(vectors);
  // Powers of two far apart, so that one rounding is visible, and values that cancel to zero.
  const pool = Float32Array.from(
    { length: 9973 },
    () => random.integer(-64, 64) * 2 ** random.integer(-12, 3),
  );
  const a = new Float32Array(vectors * 4).map((_, i) => pool[i % 9973]);
  const b = a.map((x, i) => (i % 7 === 3 ? -x : pool[(i * 5 + 1) % 9973]));
  const params = { count: vectors, low, high };
  const { output } = await dispatch(gpu.runtime, add, { a, b }, { output: vectors * 16 }, params, {
    WORKGROUP_SIZE: workgroup,
  });
  // -0 and +0 are both 0 to a ReLU; adapters differ in which one max() returns.
  const plain = (values: Float32Array) => values.map((x) => x + 0);
  return firstDifference(plain(new Float32Array(output)), plain(twin(a, b, low, high)));
}

describe('add', () => {
  for (const [name, low, high] of [
    ['plain', -FINITE, FINITE],
    ['relu', 0, FINITE],
    ['relu6', 0, 6],
  ] as const) {
    test(name, async () => {
      for (const vectors of [1, 31, 32, 33, 255, 256, 257, 5000]) {
        expect(await mismatch(vectors, low, high), `${vectors} vectors`).toBe(-1);
      }
    });
  }

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await mismatch(65_536 * 32 + 5, -FINITE, FINITE, addReference, 32)).toBe(-1);
  });

  test('known-wrong sums are told apart', async () => {
    const wrongs: Record<string, typeof addReference> = {
      'clamped before the addition': (a, b, low) => a.map((x, i) => Math.max(x, low) + Math.max(b[i], low)),
      'a ReLU forgotten': (a, b) => addReference(a, b, -FINITE, FINITE),
      'one operand shifted': (a, b, low, high) => addReference(a, b.with(0, b[1]), low, high),
    };
    for (const [name, twin] of Object.entries(wrongs))
      expect(await mismatch(64, 0, 6, twin), name).not.toBe(-1);
  });
});
