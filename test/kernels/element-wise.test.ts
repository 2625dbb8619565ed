import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/graph/ops/plan.ts';
import { elementWise, FLOAT_OPERATIONS } from '../../src/kernels/element-wise.ts';
import { elementWiseReference } from '../../src/reference/element-wise.ts';
import { dispatch } from '../support/dispatch.ts';
import { firstApart, randomTensor, stepApart } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Every operation at a size, on a, b and c that hold whole numbers, zeros and each other's values. */
async function apart(name: keyof typeof FLOAT_OPERATIONS, count: number, workgroup = 64, wrong?: number) {
  const random = seeded(count + FLOAT_OPERATIONS[name]);
  const values = () =>
    Float32Array.from({ length: count }, (_, i) => (i % 3 ? random.normal() * 3 : random.integer(-3, 3)));
  const [a, b, c] = [values(), values(), values()];
  if (['log', 'sqrt'].includes(name)) a.set(a.map(Math.abs));
  if (name === 'acosh') a.set(a.map((x) => 1 + Math.abs(x)));
  // A tangent near its poles is as far off as its argument was rounded there.
  if (name === 'tan') a.set(a.map((x) => x / 8));
  if (['asin', 'acos', 'atanh'].includes(name)) a.set(a.map((x) => x / (1 + Math.abs(x))));
  if (name === 'isInf') a.set(a.map((x, i) => (i % 2 ? x / 0 : x)));
  const axes = Uint32Array.of(count, 1, 1, 1);
  const params = { count, rank: 1, p: 0.75, q: 0.25 };
  const OP = FLOAT_OPERATIONS[name];
  const specialization = { OP, WORKGROUP_SIZE: workgroup };
  const { output } = await dispatch(
    gpu.runtime,
    elementWise,
    { a, b, c, axes },
    { output: count * 4 },
    params,
    specialization,
  );
  const twin = new Float64Array(count);
  const doubles = { a, b, c, axes };
  const buffers = Object.fromEntries(
    Object.entries(doubles).map(([key, words]) => [key, Float64Array.from(words)]),
  );
  elementWiseReference({ ...buffers, output: twin }, params, { OP: wrong ?? OP });
  const words = OP === 68 ? Uint32Array : OP >= 60 ? Int32Array : Float32Array;
  // A few ULP for a function, more where exp(y log x) carries the error of a large exponent.
  return firstApart(new words(output), twin, OP === 46 ? 4e-6 : OP >= 60 ? 0 : 1e-6);
}

describe('element-wise', () => {
  test('every operation, ragged', async () => {
    const names = Object.keys(FLOAT_OPERATIONS) as (keyof typeof FLOAT_OPERATIONS)[];
    for (const name of sampled('element-wise operations', names, 24))
      expect(await apart(name, 193), name).toBe(-1);
  });

  test('one element, workgroups around their size, and more than 65,535 of them', async () => {
    for (const count of [1, 63, 64, 65]) expect(await apart('add', count)).toBe(-1);
    expect(await apart('add', 65_536 * 32 + 5, 32)).toBe(-1);
  });

  test('broadcasting over any number of axes', async () => {
    const random = seeded(1);
    const shapes = [
      [
        [5, 1, 3, 1, 2],
        [1, 4, 1, 3, 1],
      ],
      [[7, 9], [9]],
      [
        [3, 1],
        [1, 3],
      ],
    ];
    for (const [a, b] of shapes) {
      const inputs = [randomTensor(random, 'float32', a), randomTensor(random, 'float32', b)];
      const spec = { operator: 'Sub', inputs, attributes: {} };
      expect(await stepApart(gpu.runtime, spec, 1e-6)).toBe(null);
      const swapped = (step: Step): Step => ({
        ...step,
        buffers: { ...step.buffers, a: step.buffers.b, b: step.buffers.a },
      });
      expect(await stepApart(gpu.runtime, spec, 1e-6, swapped)).not.toBe(null);
    }
  });

  test('known-wrong functions are told apart', async () => {
    expect(await apart('gelu', 193, 64, FLOAT_OPERATIONS.geluTanh)).not.toBe(-1);
    expect(await apart('round', 193, 64, FLOAT_OPERATIONS.floor)).not.toBe(-1);
    expect(await apart('less', 193, 64, FLOAT_OPERATIONS.lessOrEqual)).not.toBe(-1);
    expect(await apart('elu', 193, 64, FLOAT_OPERATIONS.celu)).not.toBe(-1);
  });
});
