import { describe, expect, test } from 'vitest';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { numbersOf } from '../../src/graph/ops/value.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(51);
const x = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);
const positive = (...dims: number[]): OnnxTensor => {
  const tensor = x(...dims);
  return {
    ...tensor,
    data: (tensor.data as Float32Array).map((value) => 0.2 + Math.abs(value)),
  } as OnnxTensor;
};
/** Far from zero, where a variance of squares would lose its digits. */
const far = (...dims: number[]): OnnxTensor => {
  const tensor = x(...dims);
  return { ...tensor, data: (tensor.data as Float32Array).map((value) => 100 + value) } as OnnxTensor;
};

describe('against ONNX Runtime', () => {
  test('BatchNormalization of any rank', async () => {
    const cases = [
      [2, 5, 4, 3],
      [3, 5],
      [2, 5, 200],
      [1, 5, 2, 3, 4],
    ].flatMap((dims): PeerCase[] =>
      [9, 14, 23].map((opset) => ({
        operator: 'BatchNormalization',
        inputs: [x(...dims), x(5), x(5), x(5), positive(5)],
        attributes: { epsilon: 0.01 },
        options: { opset },
      })),
    );
    await expectPeer(gpu.runtime, cases, 1e-5);
  });

  test('InstanceNormalization', async () => {
    await expectPeer(
      gpu.runtime,
      [
        { operator: 'InstanceNormalization', inputs: [x(2, 3, 4, 5), x(3), x(3)] },
        {
          operator: 'InstanceNormalization',
          inputs: [far(2, 3, 20, 20), x(3), x(3)],
          attributes: { epsilon: 0.1 },
        },
        { operator: 'InstanceNormalization', inputs: [x(1, 2, 7), x(2), x(2)], options: { opset: 9 } },
      ],
      4e-5,
    );
  });

  test('LayerNormalization over any axes, its statistics too', async () => {
    await expectPeer(
      gpu.runtime,
      [
        { operator: 'LayerNormalization', inputs: [x(3, 4, 10), x(10), x(10)] },
        { operator: 'LayerNormalization', inputs: [x(3, 4, 10), x(10)], options: { opset: 17 } },
        {
          operator: 'LayerNormalization',
          inputs: [x(3, 4, 50), x(4, 50), x(4, 50)],
          attributes: { axis: 1 },
        },
        {
          operator: 'LayerNormalization',
          inputs: [x(2, 3, 5), x(2, 3, 5)],
          attributes: { axis: 0, epsilon: 1e-3 },
        },
        { operator: 'LayerNormalization', inputs: [x(3, 300), x(300), x(300)], options: { outputs: 3 } },
      ],
      1e-5,
    );
  });

  test('GroupNormalization and RMSNormalization', async () => {
    await expectPeer(
      gpu.runtime,
      [
        {
          operator: 'GroupNormalization',
          inputs: [x(2, 6, 4, 3), x(3), x(3)],
          attributes: { num_groups: 3 },
          options: { opset: 18 },
        },
        {
          operator: 'GroupNormalization',
          inputs: [x(2, 6, 4, 9), x(6), x(6)],
          attributes: { num_groups: 2 },
          options: { opset: 21 },
        },
        { operator: 'RMSNormalization', inputs: [x(3, 4, 10), x(10)] },
      ],
      1e-5,
    );
  });
});

test('a scale broadcasts to the dims that LayerNormalization normalizes', async () => {
  const data = x(2, 3, 4);
  const scale = x(3, 1);
  const full = {
    dtype: 'float32',
    dims: [3, 4],
    data: Float32Array.from({ length: 12 }, (_, i) => Number(scale.data[Math.floor(i / 4)])),
  } as const;
  const [narrow] = await runOperator(gpu.runtime, 'LayerNormalization', [data, scale], { axis: 1 });
  const [wide] = await runOperator(gpu.runtime, 'LayerNormalization', [data, full], { axis: 1 });
  expect(numbersOf(narrow)).toEqual(numbersOf(wide));
});
