import { describe, expect, test } from 'vitest';
import { SCATTER_OPERATIONS, scatter } from '../../src/kernels/scatter.ts';
import { scatterReference } from '../../src/reference/scatter.ts';
import { firstApart } from '../support/planned.ts';
import { guardedOutput, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Shape {
  rows: number;
  outers: number;
  inners: number;
  size: number;
}

/** Updates that meet in few places, some of them left out, onto whole numbers. */
async function apart(
  operation: keyof typeof SCATTER_OPERATIONS,
  { rows, outers, inners, size }: Shape,
  { EACH = 0, Element = 'f32', WORKGROUP_SIZE = 64, splits = 1, wrong = {} as object } = {},
) {
  const random = seeded(rows * 7 + inners);
  const columns = outers * inners;
  const words = { f32: Float32Array, i32: Int32Array, u32: Uint32Array }[Element as 'f32'];
  const drawn = (count: number) =>
    words.from({ length: count }, () => random.integer(Element === 'u32' ? 0 : -9, 9));
  const updates = drawn(rows * columns);
  const slices = Math.floor(size / columns);
  const place = () => (random.next() < 0.1 ? -1 : random.integer(0, slices - 1) * columns);
  // With more splits no two rows may meet.
  const rowPlaces = Array.from({ length: rows }, (_, row) =>
    splits > 1 ? (row % 5 ? row * columns : -1) : place(),
  );
  const places = Int32Array.from({ length: EACH ? rows * columns : rows }, (_, i) => {
    if (!EACH) return rowPlaces[i];
    const row = Math.floor(i / inners) % rows;
    const column = Math.floor(i / inners / rows) * inners + (i % inners);
    return rowPlaces[row] < 0 ? -1 : rowPlaces[row] + column;
  });
  const before = drawn(size);
  const params = { rows, columns, inners, splits };
  const specialization = {
    OP: SCATTER_OPERATIONS[operation],
    EACH,
    IS_FLOAT: Number(Element === 'f32'),
    Element,
  };
  const twin = Float64Array.from(before);
  scatterReference(
    { updates: Float64Array.from(updates), places: Float64Array.from(places), output: twin },
    params,
    { ...specialization, ...wrong },
  );
  const guard = guardedOutput(gpu.runtime, size * 4);
  gpu.runtime.device.queue.writeBuffer(guard.slice.buffer, guard.slice.offset, before);
  await gpu.runtime.scope(async ({ upload, keep }) => {
    const compiled = await scatter.create(gpu.runtime.device, { ...specialization, WORKGROUP_SIZE });
    const bound = { updates: upload(updates), places: upload(places), output: guard.slice };
    gpu.runtime.submit([keep(compiled.bind(bound, params))]);
  });
  return firstApart(new words(await guard.read()), twin, 0);
}

const OPERATIONS = Object.keys(SCATTER_OPERATIONS) as (keyof typeof SCATTER_OPERATIONS)[];

describe('scatter', () => {
  test('every operation in every type, by rows and by elements', async () => {
    for (const operation of OPERATIONS) {
      for (const Element of ['f32', 'i32', 'u32']) {
        for (const EACH of [0, 1]) {
          // Products of few factors: a float holds them exactly.
          const rows = operation === 'mul' ? 5 : 13;
          const shape = { rows, outers: EACH ? 3 : 1, inners: 5, size: 97 };
          expect(await apart(operation, shape, { EACH, Element }), `${operation} ${Element} ${EACH}`).toBe(
            -1,
          );
        }
      }
    }
  });

  test('one element, ragged workgroups, a folded dispatch, rows of their own in parallel', async () => {
    expect(await apart('add', { rows: 1, outers: 1, inners: 1, size: 1 })).toBe(-1);
    for (const inners of [63, 64, 65])
      expect(await apart('add', { rows: 3, outers: 1, inners, size: 200 })).toBe(-1);
    const wide = { rows: 2, outers: 1, inners: 65_536 * 32 + 5, size: 65_536 * 64 + 10 };
    expect(await apart('none', wide, { WORKGROUP_SIZE: 32 })).toBe(-1);
    expect(await apart('none', { rows: 130, outers: 1, inners: 3, size: 400 }, { splits: 130 })).toBe(-1);
  });

  test('NaN is an extremum', async () => {
    const output = guardedOutput(gpu.runtime, 16);
    const nan = Number.NaN;
    gpu.runtime.device.queue.writeBuffer(
      output.slice.buffer,
      output.slice.offset,
      Float32Array.of(nan, 1, 2, 3),
    );
    await gpu.runtime.scope(async ({ upload, keep }) => {
      const compiled = await scatter.create(gpu.runtime.device, { OP: SCATTER_OPERATIONS.max });
      const bound = {
        updates: upload(Float32Array.of(5, nan, 1, 4)),
        places: upload(Int32Array.of(0)),
        output: output.slice,
      };
      gpu.runtime.submit([keep(compiled.bind(bound, { rows: 1, columns: 4, inners: 4, splits: 1 }))]);
    });
    expect([...new Float32Array(await output.read())]).toEqual([nan, nan, 2, 4]);
  });

  test('known-wrong scatters are told apart', async () => {
    const shape = { rows: 13, outers: 1, inners: 5, size: 97 };
    expect(await apart('add', shape, { wrong: { OP: 0 } })).not.toBe(-1);
    expect(await apart('max', shape, { wrong: { OP: 4 } })).not.toBe(-1);
    expect(await apart('none', { ...shape, outers: 3 }, { EACH: 1, wrong: { EACH: 0 } })).not.toBe(-1);
  });
});
