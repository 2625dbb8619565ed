import { describe, expect, test } from 'vitest';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { expectPeer, int64s, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(31);
const float = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);
const of = (dtype: OnnxDType, ...dims: number[]) => randomTensor(random, dtype, dims);

const SUMS = ['ReduceSum', 'ReduceMean', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare'] as const;
const ALL = [...SUMS, 'ReduceMax', 'ReduceMin', 'ReduceProd'] as const;

describe('against ONNX Runtime', () => {
  test('axes by input, by attribute and none; kept and dropped; negative', async () => {
    const cases: PeerCase[] = [];
    for (const operator of ALL) {
      const inputs = (...axes: number[]) => [float(2, 3, 4, 5), int64s(...axes)];
      cases.push(
        { operator, inputs: inputs(1) },
        { operator, inputs: inputs(-1, 0), attributes: { keepdims: 0 } },
      );
      cases.push({ operator, inputs: inputs(0, 2), attributes: { keepdims: 0 } });
      cases.push(
        { operator, inputs: [float(3, 7)] },
        { operator, inputs: [float(3, 7)], attributes: { keepdims: 0 } },
      );
      cases.push({ operator, inputs: [float()], attributes: { keepdims: 0 } });
      cases.push({ operator, inputs: [float(3, 7), int64s()], attributes: { noop_with_empty_axes: 1 } });
      cases.push({
        operator,
        inputs: [float(3, 5, 2)],
        attributes: { axes: [0, -1] },
        options: { opset: 11 },
      });
      cases.push({
        operator,
        inputs: [float(3, 5, 2)],
        attributes: { axes: [1], keepdims: 0 },
        options: { opset: 12 },
      });
      cases.push({ operator, inputs: [of('float16', 3, 5), int64s(1)] });
    }
    cases.push({ operator: 'ReduceSum', inputs: [float(3, 5), int64s(0)], options: { opset: 13 } });
    await expectPeer(gpu.runtime, cases, 1e-5);
  });

  test('long rows and many rows, ragged', async () => {
    await expectPeer(
      gpu.runtime,
      [
        { operator: 'ReduceSum', inputs: [float(3, 1000), int64s(1)] },
        { operator: 'ReduceMean', inputs: [float(129, 2, 65), int64s(0, 2)] },
        { operator: 'ReduceMax', inputs: [float(2, 130, 3), int64s(1)] },
        { operator: 'ReduceMin', inputs: [float(200, 3), int64s(1)] },
        { operator: 'ArgMax', inputs: [float(3, 1000)], attributes: { axis: 1 } },
      ],
      1e-5,
    );
  });

  test('integers and what holds nothing', async () => {
    const cases: PeerCase[] = [];
    for (const dtype of ['int32', 'int64'] as const) {
      for (const operator of ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd'] as const)
        cases.push({
          operator,
          inputs: [
            operator === 'ReduceProd' ? of(dtype, 4, 3) : of(dtype, 4, 130),
            int64s(operator === 'ReduceProd' ? 1 : 0),
          ],
        });
    }
    cases.push({ operator: 'ReduceMax', inputs: [of('uint8', 4, 30), int64s(1)] });
    cases.push({ operator: 'ReduceMin', inputs: [of('int8', 4, 30), int64s(0)] });
    cases.push({ operator: 'ReduceSum', inputs: [float(2, 0, 3), int64s(1)] });
    cases.push({ operator: 'ReduceSum', inputs: [float(2, 0, 3), int64s(0)] });
    cases.push({ operator: 'ReduceProd', inputs: [float(2, 0), int64s(1)] });
    await expectPeer(gpu.runtime, cases);
  });

  test('ArgMax and ArgMin: the first or the last of equals', async () => {
    const ties: OnnxTensor = {
      dtype: 'float32',
      dims: [4, 40],
      data: Float32Array.from({ length: 160 }, () => random.integer(-2, 2)),
    };
    const long: OnnxTensor = {
      dtype: 'int32',
      dims: [3, 300],
      data: Int32Array.from({ length: 900 }, () => random.integer(-2, 2)),
    };
    const cases: PeerCase[] = [];
    for (const operator of ['ArgMax', 'ArgMin'] as const) {
      for (const select_last_index of [0, 1]) {
        cases.push({ operator, inputs: [ties], attributes: { axis: 1, select_last_index } });
        cases.push({ operator, inputs: [ties], attributes: { axis: -2, keepdims: 0, select_last_index } });
        cases.push({ operator, inputs: [long], attributes: { axis: 1, select_last_index } });
      }
      cases.push({ operator, inputs: [ties], options: { opset: 9 } });
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('global pools', async () => {
    await expectPeer(gpu.runtime, [
      { operator: 'GlobalAveragePool', inputs: [float(2, 3, 9, 5)] },
      { operator: 'GlobalAveragePool', inputs: [float(2, 3, 200)] },
      { operator: 'GlobalMaxPool', inputs: [float(2, 3, 4, 5, 3)] },
    ]);
  });

  test('softmax by both definitions, along any axis', async () => {
    const cases: PeerCase[] = [];
    for (const operator of ['Softmax', 'LogSoftmax'] as const) {
      cases.push(
        { operator, inputs: [float(3, 10)] },
        { operator, inputs: [float(2, 5, 7)], attributes: { axis: 1 } },
      );
      cases.push({ operator, inputs: [randomTensor(random, 'float32', [2, 1000], 40)] });
      cases.push({ operator, inputs: [float(2, 3, 4, 5)], attributes: { axis: -3 } });
      cases.push({ operator, inputs: [float(2, 3, 4)], options: { opset: 12 } });
      cases.push({ operator, inputs: [float(2, 3, 4)], attributes: { axis: 2 }, options: { opset: 11 } });
      cases.push({ operator, inputs: [float(2, 3, 4)], attributes: { axis: 0 }, options: { opset: 9 } });
      cases.push({ operator, inputs: [float(0, 4)] });
      cases.push({ operator, inputs: [of('float16', 3, 6)] });
    }
    await expectPeer(gpu.runtime, cases, 4e-6);
  });
});

test('NaN reaches extrema, sums and softmax; nothing has infinite extrema', async () => {
  const x: OnnxTensor = { dtype: 'float32', dims: [2, 3], data: Float32Array.of(1, Number.NaN, 3, 4, 5, 6) };
  const run = async (operator: 'ReduceMax' | 'ReduceMin' | 'ReduceSum', input: OnnxTensor) => [
    ...(await runOperator(gpu.runtime, operator, [input, int64s(1)], { keepdims: 0 }))[0].data,
  ];
  expect(await run('ReduceMax', x)).toEqual([Number.NaN, 6]);
  expect(await run('ReduceMin', x)).toEqual([Number.NaN, 4]);
  expect(await run('ReduceSum', x)).toEqual([Number.NaN, 15]);
  const [y] = await runOperator(gpu.runtime, 'Softmax', [x]);
  expect([...y.data].map(Number.isNaN as never)).toEqual([true, true, true, false, false, false]);
  const [at] = await runOperator(gpu.runtime, 'ArgMax', [x], { axis: 1, keepdims: 0 });
  expect([...at.data]).toEqual([1n, 2n]);
  const nothing: OnnxTensor = { dtype: 'float32', dims: [2, 0], data: new Float32Array(0) };
  const infinite = Number.POSITIVE_INFINITY;
  expect(await run('ReduceMax', nothing)).toEqual([-infinite, -infinite]);
  expect(await run('ReduceMin', nothing)).toEqual([infinite, infinite]);
});
