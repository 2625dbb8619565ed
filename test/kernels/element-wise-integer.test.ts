import { describe, expect, test } from 'vitest';
import { elementWiseInteger, INTEGER_OPERATIONS } from '../../src/kernels/element-wise-integer.ts';
import { elementWiseIntegerReference } from '../../src/reference/element-wise-integer.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
type Name = keyof typeof INTEGER_OPERATIONS;

interface Options {
  count?: number;
  Integer?: 'i32' | 'u32';
  bits?: number;
  isSigned?: number;
  workgroup?: number;
  wrong?: Name;
}

async function difference(
  name: Name,
  { count = 131, Integer = 'i32', bits = 32, isSigned = 1, workgroup = 64, wrong = name }: Options = {},
) {
  const random = seeded(count + INTEGER_OPERATIONS[name]);
  const array = (Integer === 'u32' ? Uint32Array : Int32Array) as Int32ArrayConstructor;
  const ends = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 255, -128];
  const low = Integer === 'u32' || name.startsWith('shift') ? 0 : -9;
  const values = (k: number) =>
    array.from({ length: count }, (_, i) =>
      i % 4 || name.startsWith('shift') ? random.integer(low, 40) : ends[(i / 4 + k) % 7],
    );
  const [a, b, c] = [values(0), values(3), values(5)];
  const axes = Uint32Array.of(count, 1, 1, 1);
  const params = { count, rank: 1, bits, isSigned };
  const OP = INTEGER_OPERATIONS[name];
  const { output } = await dispatch(
    gpu.runtime,
    elementWiseInteger,
    { a, b, c, axes },
    { output: count * 4 },
    params,
    { OP, Integer, WORKGROUP_SIZE: workgroup },
  );
  const twin = new Float64Array(count);
  const buffers = Object.fromEntries(
    Object.entries({ a, b, c, axes }).map(([key, words]) => [key, Float64Array.from(words)]),
  );
  elementWiseIntegerReference({ ...buffers, output: twin }, params, {
    OP: INTEGER_OPERATIONS[wrong],
    Integer,
  });
  if (name === 'toFloat') return firstDifference(new Float32Array(output), Float32Array.from(twin));
  return firstDifference(new array(output), array.from(twin));
}

describe('element-wise-integer', () => {
  test('every operation on i32 and u32, with the ends of their range', async () => {
    const names = (Object.keys(INTEGER_OPERATIONS) as Name[]).filter((name) => name !== 'toFloat');
    for (const name of sampled('integer operations', names, 16))
      expect(await difference(name), name).toBe(-1);
    // Signs that differ.
    expect(await difference('mod', { count: 257 })).toBe(-1);
    for (const name of ['add', 'mul', 'div', 'min', 'max', 'less', 'shiftRight', 'mod'] as const)
      expect(await difference(name, { Integer: 'u32', isSigned: 0 }), name).toBe(-1);
  });

  test('narrower types wrap at their own width', async () => {
    for (const [bits, isSigned] of [
      [8, 0],
      [8, 1],
      [16, 0],
      [4, 1],
    ]) {
      for (const name of ['add', 'mul', 'neg'] as const)
        expect(await difference(name, { bits, isSigned }), `${name} at ${bits}`).toBe(-1);
    }
  });

  test('one element, ragged workgroups, a folded dispatch', async () => {
    for (const count of [1, 63, 64, 65, 65_536 * 32 + 5]) {
      expect(await difference('sub', { count, workgroup: count > 100 ? 32 : 64 })).toBe(-1);
    }
  });

  test('known-wrong functions are told apart', async () => {
    expect(await difference('mod', { wrong: 'fmod' })).not.toBe(-1);
    expect(await difference('and', { wrong: 'or' })).not.toBe(-1);
    expect(await difference('pow', { wrong: 'mul' })).not.toBe(-1);
  });
});
