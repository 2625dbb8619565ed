import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/graph/ops/plan.ts';
import { REDUCTIONS, reduce } from '../../src/kernels/reduce.ts';
import { reduceReference } from '../../src/reference/reduce.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart, int64s, randomTensor, stepApart } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
type Name = keyof typeof REDUCTIONS;

/** Rows of a matrix, whose values tie often. */
async function apart(
  name: Name,
  [outputs, reduced]: [number, number],
  { LANES = 1, Element = 'f32', WORKGROUP_SIZE = 64, LAST = 0, wrong = {} as object } = {},
) {
  const random = seeded(outputs + reduced);
  const input = Float32Array.from({ length: outputs * reduced }, () => random.integer(-8, 8));
  const words = { f32: Float32Array, i32: Int32Array, u32: Uint32Array }[Element as 'f32'];
  const axes = Uint32Array.of(outputs, reduced, reduced, 1);
  const params = { outputs, reduced, keptRank: 1, reducedRank: 1, identity: name === 'prod' ? 1 : 0 };
  if (Element === 'f32' && name === 'prod') params.identity = 0x3f800000;
  if (Element === 'f32' && name === 'max') params.identity = 0xff800000;
  if (name === 'prod') input.set(input.map((x) => (x % 3) + 2));
  const specialization = {
    OP: REDUCTIONS[name],
    LANES,
    WORKGROUP_SIZE,
    LAST,
    Element,
    IS_FLOAT: Number(Element === 'f32'),
  };
  const data = words.from(input.map((x) => (Element === 'u32' ? Math.abs(x) : x)));
  const { output } = await dispatch(
    gpu.runtime,
    reduce,
    { input: data, axes },
    { output: outputs * 4 },
    params,
    specialization,
  );
  const twin = new Float64Array(outputs);
  reduceReference({ input: Float64Array.from(data), axes: Float64Array.from(axes), output: twin }, params, {
    ...specialization,
    ...wrong,
  });
  const received = name.startsWith('arg') ? new Int32Array(output) : new words(output);
  return firstApart(received, twin, Element === 'f32' && !name.startsWith('arg') ? 1e-5 : 0);
}

describe('reduce', () => {
  test('every reduction, in floats and integers, by one thread and by many', async () => {
    const cases = (Object.keys(REDUCTIONS) as Name[]).flatMap((name) =>
      (['f32', 'i32', 'u32'] as const).flatMap((Element) =>
        [1, 64].map((LANES) => ({ name, Element, LANES })),
      ),
    );
    for (const { name, Element, LANES } of sampled('reductions', cases, 26)) {
      const shape: [number, number] = name === 'prod' ? [5, 9] : [5, 131];
      expect(await apart(name, shape, { Element, LANES }), `${name} ${Element} ${LANES}`).toBe(-1);
    }
  });

  test('rows and lengths around a workgroup, the last of equals, a folded dispatch', async () => {
    for (const shape of [
      [1, 1],
      [63, 64],
      [65, 63],
      [2, 65],
      [3, 0],
    ] as [number, number][]) {
      for (const LANES of [1, 64]) expect(await apart('sum', shape, { LANES }), `${shape} ${LANES}`).toBe(-1);
    }
    expect(await apart('argMax', [7, 200], { LANES: 64, LAST: 1 })).toBe(-1);
    expect(await apart('argMin', [7, 200], { LAST: 1 })).toBe(-1);
    expect(await apart('max', [65_537, 2], { LANES: 64 })).toBe(-1);
  });

  test('axes anywhere, merged by the host', async () => {
    const x = randomTensor(seeded(3), 'float32', [3, 2, 4, 3, 2]);
    for (const axes of [[0], [1, 3], [0, 2, 4], [2, 3], [4]]) {
      const spec = { operator: 'ReduceSum', inputs: [x, int64s(...axes)], attributes: {} };
      expect(await stepApart(gpu.runtime, spec, 1e-5), `${axes}`).toBe(null);
      const other = (step: Step): Step => ({
        ...step,
        specialization: { ...step.specialization, OP: REDUCTIONS.mean },
      });
      expect(await stepApart(gpu.runtime, spec, 1e-5, other)).not.toBe(null);
    }
  });

  test('known-wrong reductions are told apart', async () => {
    expect(await apart('argMax', [7, 50], { wrong: { LAST: 1 } })).not.toBe(-1);
    expect(await apart('max', [7, 50], { wrong: { OP: REDUCTIONS.min } })).not.toBe(-1);
    expect(await apart('l1', [7, 50], { wrong: { OP: REDUCTIONS.sum } })).not.toBe(-1);
  });
});
