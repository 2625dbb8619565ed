import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/graph/ops/plan.ts';
import { stridedCopy } from '../../src/kernels/strided-copy.ts';
import { stridedCopyReference } from '../../src/reference/strided-copy.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { int64s, randomTensor, stepApart } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Case {
  /** Per axis, the innermost first: size, input stride, output stride, 0. */
  axes: number[][];
  windows?: number[][];
  inputOffset?: number;
  outputOffset?: number;
  input: number;
  output: number;
  workgroup?: number;
}

/** A copy into a buffer that holds zeros, between guards, against the twin. */
async function difference(made: Case, wrong: Partial<Case> = {}): Promise<number> {
  const run = (c: Case) => {
    const random = seeded(c.input + c.output);
    return {
      input: Uint32Array.from({ length: c.input }, () => random.integer(1, 2 ** 32 - 1)),
      indices: Int32Array.from({ length: 64 }, () => random.integer(-c.input, c.input + 3)),
      axes: Int32Array.from([...c.axes.flat(), 0, 0, 0, 0]),
      windows: Int32Array.from([...(c.windows ?? []).flat(), 0, 0, 0, 0]),
      fill: Uint32Array.of(0xabcdef01),
    };
  };
  const paramsOf = ({ axes, inputOffset = 0, outputOffset = 0 }: Case) => ({
    count: axes.reduce((product, [size]) => product * size, 1),
    rank: axes.length,
    inputOffset,
    outputOffset,
  });
  const WINDOWED = made.windows ? 1 : 0;
  const specialization = { WINDOWED, WORKGROUP_SIZE: made.workgroup ?? 64 };
  const { output } = await dispatch(
    gpu.runtime,
    stridedCopy,
    run(made),
    { output: made.output * 4 },
    paramsOf(made),
    specialization,
  );
  const expected = { ...made, ...wrong };
  const twin = new Float64Array(made.output).fill(0xdeadbeef);
  const doubles = Object.entries(run(expected)).map(([name, words]) => [name, Float64Array.from(words)]);
  stridedCopyReference({ ...Object.fromEntries(doubles), output: twin }, paramsOf(expected), { WINDOWED });
  return firstDifference(new Uint32Array(output), Uint32Array.from(twin));
}

describe('strided-copy', () => {
  test('transposes, slices backwards, repeats, and writes between what is there', async () => {
    const cases: Case[] = [
      {
        axes: [
          [3, 5, 1, 0],
          [5, 1, 3, 0],
        ],
        input: 15,
        output: 15,
      },
      { axes: [[4, -2, 1, 0]], inputOffset: 9, input: 10, output: 4 },
      {
        axes: [
          [5, 0, 1, 0],
          [3, 1, 5, 0],
        ],
        input: 3,
        output: 15,
      },
      {
        axes: [
          [2, 1, 1, 0],
          [7, 2, 5, 0],
        ],
        outputOffset: 3,
        input: 14,
        output: 35,
      },
      { axes: [], input: 1, output: 1 },
      {
        axes: [
          [65, 33, 1, 0],
          [33, 1, 65, 0],
        ],
        input: 2145,
        output: 2145,
      },
    ];
    for (const made of cases) expect(await difference(made), JSON.stringify(made)).toBe(-1);
  });

  test('every mode of a window, before, inside and far behind', async () => {
    const cases: Case[] = [];
    for (const mode of [1, 2, 3, 4, 5]) {
      for (const limit of [1, 2, 5]) {
        cases.push({
          axes: [
            [17, 1, 1, 0],
            [3, limit, 17, 0],
          ],
          windows: [
            [mode === 5 ? 7 : -6, limit, mode, 0],
            [0, 3, 0, 0],
          ],
          input: limit * 3,
          output: 51,
        });
      }
    }
    cases.push({ axes: [[9, 1, 1, 0]], windows: [[-4, 0, 1, 0]], input: 1, output: 9 });
    for (const made of sampled('window modes', cases, 12))
      expect(await difference(made), JSON.stringify(made)).toBe(-1);
  });

  test('random operators, their boxes merged by the host', async () => {
    const random = seeded(4);
    for (let i = 0; i < 12; i++) {
      const dims = Array.from({ length: random.integer(1, 6) }, () => random.integer(1, 4));
      const perm = dims
        .map((_, d) => [random.next(), d])
        .sort(([a], [b]) => a - b)
        .map(([, d]) => d);
      const x = randomTensor(random, 'int32', dims);
      expect(await stepApart(gpu.runtime, { operator: 'Transpose', inputs: [x], attributes: { perm } })).toBe(
        null,
      );
      const pads = int64s(...Array.from({ length: dims.length * 2 }, () => random.integer(0, 3)));
      const mode = random.pick(['constant', 'reflect', 'edge', 'wrap']);
      expect(await stepApart(gpu.runtime, { operator: 'Pad', inputs: [x, pads], attributes: { mode } })).toBe(
        null,
      );
    }
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    const size = 65_536 * 32 + 7;
    expect(await difference({ axes: [[size, 1, 1, 0]], input: size, output: size, workgroup: 32 })).toBe(-1);
  });

  test('known-wrong copies are told apart', async () => {
    const made: Case = { axes: [[9, 1, 1, 0]], windows: [[-2, 5, 2, 0]], input: 5, output: 9 };
    expect(await difference(made, { windows: [[-2, 5, 3, 0]] })).not.toBe(-1);
    expect(await difference(made, { windows: [[-1, 5, 2, 0]] })).not.toBe(-1);
    const x = randomTensor(seeded(5), 'int32', [3, 5]);
    const still = (step: Step): Step => ({ ...step, params: { ...step.params, inputOffset: 1 } });
    const spec = { operator: 'Transpose', inputs: [x], attributes: {} };
    expect(await stepApart(gpu.runtime, spec, 0, still)).not.toBe(null);
  });
});
