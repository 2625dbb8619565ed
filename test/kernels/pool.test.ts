import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/graph/ops/plan.ts';
import { randomTensor, stepApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
type Attributes = Record<string, number | number[]>;

/** Values that tie in many windows. */
function apart(
  operator: string,
  dims: number[],
  attributes: Attributes,
  wrong?: (step: Step) => Step,
  outputs = 1,
) {
  const random = seeded(dims.length * 11 + dims[2]);
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.integer(-3, 3));
  const x = { dtype: 'float32' as const, dims, data };
  return stepApart(gpu.runtime, { operator, inputs: [x], attributes, outputs }, 1e-6, wrong);
}

const window: Attributes = { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 2, 1], ceil_mode: 1 };

describe('pool', () => {
  test('averages, maxima and their places, in 1 to 3 dimensions', async () => {
    for (const operator of ['MaxPool', 'AveragePool']) {
      expect(await apart(operator, [2, 3, 8, 7], window)).toBe(null);
      expect(await apart(operator, [1, 2, 65], { kernel_shape: [4], dilations: [3] })).toBe(null);
      expect(
        await apart(operator, [2, 1, 4, 5, 6], { kernel_shape: [2, 3, 1], pads: [1, 1, 0, 0, 2, 0] }),
      ).toBe(null);
    }
    expect(await apart('AveragePool', [2, 3, 8, 7], { ...window, count_include_pad: 1 })).toBe(null);
    // Windows that hang over every side that has no padding: those cells do not count.
    const hanging: Attributes = { kernel_shape: [3, 3, 3], strides: [2, 2, 2], ceil_mode: 1 };
    expect(await apart('AveragePool', [1, 2, 4, 6, 8], { ...hanging, count_include_pad: 1 })).toBe(null);
    for (const storage_order of [0, 1])
      expect(await apart('MaxPool', [2, 3, 8, 7], { ...window, storage_order }, undefined, 2)).toBe(null);
  });

  test('maxima of integers', async () => {
    const x = randomTensor(seeded(9), 'int8', [2, 3, 5, 6]);
    const spec = { operator: 'MaxPool', inputs: [x], attributes: { kernel_shape: [2, 2] } };
    expect(await stepApart(gpu.runtime, spec)).toBe(null);
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await apart('MaxPool', [1, 1, 65_536 * 64 + 3], { kernel_shape: [2] })).toBe(null);
  });

  test('known-wrong pools are told apart', async () => {
    const set =
      (specialization: object, params = {}) =>
      (step: Step): Step => ({
        ...step,
        specialization: { ...step.specialization, ...specialization },
        params: { ...step.params, ...params },
      });
    expect(await apart('AveragePool', [2, 3, 8, 7], window, set({ COUNT_PADS: 1 }))).not.toBe(null);
    expect(await apart('MaxPool', [2, 3, 8, 7], window, set({ OP: 0 }))).not.toBe(null);
    expect(await apart('MaxPool', [2, 3, 8, 7], window, set({}, { padHeight: 0 }))).not.toBe(null);
  });
});
