import { describe, expect, test } from 'vitest';
import { planOperator } from '../../src/graph/ops/operators.ts';
import type { Step } from '../../src/graph/ops/plan.ts';
import { sizeOf } from '../../src/graph/ops/tensors.ts';
import { convolutionReference } from '../../src/reference/convolution.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { randomTensor, stepApart } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Shape {
  operator: 'Conv' | 'ConvTranspose';
  size: number[];
  kernel: number[];
  group: number;
  /** Input and output channels of a group. */
  channels: number;
  outputs: number;
  batch?: number;
  attributes?: Record<string, number[]>;
}

function apart(shape: Shape, wrong?: (step: Step) => Step) {
  const { operator, size, kernel, group, channels, outputs, batch = 2, attributes = {} } = shape;
  const random = seeded(channels * 7 + outputs);
  const dims = operator === 'Conv' ? [outputs * group, channels] : [channels * group, outputs];
  const inputs = [
    randomTensor(random, 'float32', [batch, channels * group, ...size], 1),
    randomTensor(random, 'float32', [...dims, ...kernel], 0.5),
    ...(outputs % 2 ? [randomTensor(random, 'float32', [outputs * group], 1)] : []),
  ];
  return stepApart(gpu.runtime, { operator, inputs, attributes: { group, ...attributes } }, 1e-5, wrong);
}

const other = (change: Record<string, number>) => (step: Step) => ({
  ...step,
  params: { ...step.params, ...change },
});
const plain: Shape = {
  operator: 'Conv',
  size: [7, 6],
  kernel: [3, 2],
  group: 1,
  channels: 3,
  outputs: 5,
  attributes: { pads: [1, 0, 2, 1], strides: [2, 1], dilations: [1, 2] },
};

describe('convolution', () => {
  test('channels around a tile, in groups, depthwise, in 1 to 3 dimensions, either way', async () => {
    const cases: Shape[] = [];
    for (const operator of ['Conv', 'ConvTranspose'] as const) {
      for (const outputs of [1, 3, 4, 5]) {
        cases.push({ ...plain, operator, outputs });
        cases.push({
          operator,
          size: [9],
          kernel: [3],
          group: 3,
          channels: 2,
          outputs,
          attributes: { strides: [2] },
        });
      }
      cases.push({ operator, size: [5, 6], kernel: [3, 3], group: 7, channels: 1, outputs: 1 });
      cases.push({ operator, size: [3, 4, 5], kernel: [2, 1, 3], group: 1, channels: 2, outputs: 3 });
      cases.push({ operator, size: [4, 4], kernel: [2, 2], group: 1, channels: 2, outputs: 3, batch: 0 });
    }
    for (const shape of sampled('convolutions', cases, 16))
      expect(await apart(shape), JSON.stringify(shape)).toBe(null);
  });

  test('integers, whose sums wrap', async () => {
    const random = seeded(9);
    for (const [size, kernel, group, channels, outputs] of [
      [[7, 6], [3, 2], 1, 3, 5],
      [[9], [3], 3, 2, 1],
      [[3, 4, 5], [2, 1, 3], 2, 2, 3],
      [[5, 4], [1, 1], 2, 6, 7],
    ] as const) {
      const inputs = [
        randomTensor(random, 'uint8', [2, channels * group, ...size]),
        randomTensor(random, 'int8', [outputs * group, channels, ...kernel]),
        ...[randomTensor(random, 'uint8', []), randomTensor(random, 'int8', [outputs * group])],
      ];
      const spec = { operator: 'ConvInteger', inputs, attributes: { group } };
      expect(await stepApart(gpu.runtime, spec)).toBe(null);
      // Words instead of codes, so that sums leave int32.
      const plan = planOperator(spec);
      const { kernel: compiled, params, specialization } = plan.steps.at(-1)!;
      const [input, weights] = inputs.map(({ data }) =>
        Int32Array.from(data as Int8Array, () => random.integer(-(2 ** 31), 2 ** 31 - 1)),
      );
      const bias = Int32Array.from({ length: outputs * group }, () => random.integer(-1000, 1000));
      const own = { ...specialization, HAS_BIAS: 1 };
      const buffers = { input, weights, bias };
      const count = sizeOf(plan.outputs[0].dims);
      const { output } = await dispatch(gpu.runtime, compiled, buffers, { output: count * 4 }, params, own);
      const expected = new Float64Array(count);
      const twins = Object.entries(buffers).map(([name, words]) => [name, Float64Array.from(words)]);
      convolutionReference({ ...Object.fromEntries(twins), output: expected }, params, own);
      expect(firstDifference(new Int32Array(output), expected)).toBe(-1);
    }
  });

  test('a dispatch wider than 65,535 workgroups is folded', async () => {
    const wide: Shape = {
      operator: 'Conv',
      size: [65_536 * 64 + 3],
      kernel: [2],
      group: 1,
      channels: 1,
      outputs: 1,
      batch: 1,
    };
    expect(await apart(wide)).toBe(null);
  });

  test('known-wrong convolutions are told apart', async () => {
    expect(await apart(plain, other({ padWidth: 1 }))).not.toBe(null);
    expect(await apart(plain, other({ dilationHeight: 2 }))).not.toBe(null);
    expect(
      await apart(plain, (step) => ({ ...step, specialization: { ...step.specialization, HAS_BIAS: 0 } })),
    ).not.toBe(null);
    const transposed: Shape = { ...plain, operator: 'ConvTranspose' };
    expect(await apart(transposed, other({ strideHeight: 1 }))).not.toBe(null);
  });
});
