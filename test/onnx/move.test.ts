import { describe, expect, test } from 'vitest';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { f32 } from '../support/onnx-tensors.ts';
import { expectPeer, int64, int64s, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(21);
const float = (...dims: number[]) => randomTensor(random, 'float32', dims);
const of = (dtype: OnnxDType, ...dims: number[]) => randomTensor(random, dtype, dims);

describe('against ONNX Runtime', () => {
  test('Transpose', async () => {
    const cases: PeerCase[] = [
      { operator: 'Transpose', inputs: [float(3, 5)] },
      { operator: 'Transpose', inputs: [float(2, 3, 4, 5)], attributes: { perm: [0, 2, 3, 1] } },
      { operator: 'Transpose', inputs: [float(2, 3, 1, 2, 2, 3)], attributes: { perm: [5, 0, 3, 1, 4, 2] } },
      { operator: 'Transpose', inputs: [float(2, 0, 3)], attributes: { perm: [1, 2, 0] } },
      { operator: 'Transpose', inputs: [float()] },
      ...(['int8', 'int64', 'bool', 'float16'] as const).map(
        (dtype): PeerCase => ({ operator: 'Transpose', inputs: [of(dtype, 3, 4)] }),
      ),
    ];
    await expectPeer(gpu.runtime, cases);
  });

  test('Slice by attributes and by inputs, forwards and backwards', async () => {
    const far = 9223372036854775807n;
    const slice = (x: OnnxTensor, ...lists: (number | bigint)[][]): PeerCase => ({
      operator: 'Slice',
      inputs: [x, ...lists.map((list) => int64s(...list))],
    });
    await expectPeer(gpu.runtime, [
      {
        operator: 'Slice',
        inputs: [float(5, 6)],
        attributes: { starts: [1, -4], ends: [4, 1000] },
        options: { opset: 9 },
      },
      {
        operator: 'Slice',
        inputs: [float(5, 6, 7)],
        attributes: { starts: [1], ends: [-1], axes: [2] },
        options: { opset: 9 },
      },
      slice(float(20, 10, 5), [0, 0], [3, 10], [0, 1], [1, 1]),
      slice(float(20, 10, 5), [-1], [-(far + 1n)], [1], [-1]),
      slice(float(20, 10, 5), [19, 4], [0, -20], [0, -1], [-3, -2]),
      slice(float(7), [2], [far], [0], [2]),
      slice(float(7), [10], [20], [0], [1]),
      slice(float(7), [5], [2]),
      slice(of('int64', 4, 5), [1], [3], [1]),
      slice(of('bool', 4, 5), [1, 0], [3, 5]),
    ]);
  });

  test('Split and Concat on every axis', async () => {
    const cases: PeerCase[] = [
      {
        operator: 'Split',
        inputs: [float(2, 7, 3)],
        attributes: { axis: 1, split: [2, 5] },
        options: { opset: 11 },
      },
      { operator: 'Split', inputs: [float(6, 3)], options: { opset: 11, outputs: 3 } },
      {
        operator: 'Split',
        inputs: [float(2, 7, 3), int64s(1, 0, 6)],
        attributes: { axis: -2 },
        options: { opset: 13 },
      },
      {
        operator: 'Split',
        inputs: [float(2, 7)],
        attributes: { axis: 1, num_outputs: 3 },
        options: { outputs: 3 },
      },
      { operator: 'Split', inputs: [of('int32', 4, 5), int64s(4)], attributes: { axis: 0 } },
    ];
    for (const axis of [0, 1, -1, -2]) {
      const at = axis < 0 ? axis + 3 : axis;
      const part = (size: number) => [2, 3, 4].map((own, d) => (d === at ? size : own));
      cases.push({
        operator: 'Concat',
        inputs: [3, 1, 0, 5].map((size) => float(...part(size))),
        attributes: { axis },
      });
    }
    cases.push({ operator: 'Concat', inputs: [of('int64', 3), of('int64', 2)], attributes: { axis: 0 } });
    cases.push({ operator: 'Concat', inputs: [float(2, 2)], attributes: { axis: 1 }, options: { opset: 9 } });
    await expectPeer(gpu.runtime, cases);
  });

  test('Pad in every mode, cropping too', async () => {
    const cases: PeerCase[] = [
      {
        operator: 'Pad',
        inputs: [float(3, 4)],
        attributes: { pads: [1, 0, 2, 3], value: 1.5 },
        options: { opset: 9 },
      },
      {
        operator: 'Pad',
        inputs: [float(3, 4)],
        attributes: { pads: [2, 1, 0, 3], mode: 'reflect' },
        options: { opset: 10 },
      },
      { operator: 'Pad', inputs: [float(3, 4), int64s(0, -1, 2, -1)], options: { opset: 11 } },
      {
        operator: 'Pad',
        inputs: [
          of('int32', 3, 4),
          int64s(0, 1, 2, 0),
          { dtype: 'int32', dims: [], data: Int32Array.of(-7) },
        ],
      },
      { operator: 'Pad', inputs: [of('bool', 3), int64s(1, 1)] },
      { operator: 'Pad', inputs: [float(0, 3), int64s(2, 0, 1, 1), f32(4)] },
      {
        operator: 'Pad',
        inputs: [float(2, 3, 4), int64s(1, 2, 1, 1), null, int64s(-1, 0)],
        attributes: { mode: 'edge' },
      },
    ];
    for (const mode of ['reflect', 'edge', 'wrap']) {
      cases.push({
        operator: 'Pad',
        inputs: [float(2, 3, 4), int64s(1, 2, 3, 0, 1, 2)],
        attributes: { mode },
      });
      cases.push({
        operator: 'Pad',
        inputs: [float(2, 3, 4), int64s(0, 0, 3, 0, 0, 0)],
        attributes: { mode },
      });
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('Expand, Tile, Gather', async () => {
    const indices = (...values: number[]) => int64s(...values);
    await expectPeer(gpu.runtime, [
      { operator: 'Expand', inputs: [float(3, 1), int64s(2, 1, 6)] },
      { operator: 'Expand', inputs: [float(3, 1), int64s(3, 4)] },
      { operator: 'Expand', inputs: [float(), int64s(2, 2)] },
      { operator: 'Expand', inputs: [of('bool', 1, 2), int64s(0, 2)] },
      { operator: 'Expand', inputs: [of('int64', 2, 1), int64s(1)] },
      { operator: 'Tile', inputs: [float(2, 3), int64s(2, 3)] },
      { operator: 'Tile', inputs: [float(2, 3, 2), int64s(1, 2, 1)] },
      { operator: 'Tile', inputs: [of('int32', 3), int64s(0)] },
      {
        operator: 'Gather',
        inputs: [float(5, 4, 3), { ...indices(0, -1, 3, 3), dims: [2, 2] } as OnnxTensor],
        attributes: { axis: 1 },
      },
      { operator: 'Gather', inputs: [float(5, 4), int64(2)] },
      { operator: 'Gather', inputs: [of('int64', 5), indices(4, -5)], attributes: { axis: -1 } },
      {
        operator: 'Gather',
        inputs: [float(5, 4), { dtype: 'int32', dims: [3], data: Int32Array.of(1, 0, 4) }],
        options: { opset: 9 },
      },
      { operator: 'Gather', inputs: [float(5, 0, 2), indices(1, 2)], attributes: { axis: 0 } },
    ]);
  });

  test('DepthToSpace and SpaceToDepth', async () => {
    await expectPeer(gpu.runtime, [
      { operator: 'DepthToSpace', inputs: [float(2, 12, 3, 5)], attributes: { blocksize: 2 } },
      { operator: 'DepthToSpace', inputs: [float(2, 12, 3, 5)], attributes: { blocksize: 2, mode: 'CRD' } },
      {
        operator: 'DepthToSpace',
        inputs: [float(1, 18, 2, 2)],
        attributes: { blocksize: 3 },
        options: { opset: 9 },
      },
      { operator: 'SpaceToDepth', inputs: [float(2, 3, 4, 6)], attributes: { blocksize: 2 } },
      { operator: 'SpaceToDepth', inputs: [float(1, 2, 9, 3)], attributes: { blocksize: 3 } },
    ]);
  });

  test('views: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout', async () => {
    await expectPeer(gpu.runtime, [
      { operator: 'Reshape', inputs: [float(2, 3, 4), int64s(0, -1)] },
      { operator: 'Reshape', inputs: [float(2, 3, 4), int64s(4, 6)], options: { opset: 9 } },
      { operator: 'Reshape', inputs: [float(0, 3), int64s(3, 0)], attributes: { allowzero: 1 } },
      { operator: 'Reshape', inputs: [float(1), int64s()] },
      { operator: 'Flatten', inputs: [float(2, 3, 4)], attributes: { axis: 2 } },
      { operator: 'Flatten', inputs: [float(2, 3, 4)], attributes: { axis: -1 } },
      { operator: 'Flatten', inputs: [float(2, 3, 4)], attributes: { axis: 3 }, options: { opset: 9 } },
      { operator: 'Flatten', inputs: [float()], attributes: { axis: 0 } },
      { operator: 'Squeeze', inputs: [float(1, 3, 1, 2)] },
      { operator: 'Squeeze', inputs: [float(1, 3, 1, 2), int64s(-2)] },
      { operator: 'Squeeze', inputs: [float(1, 3, 1)], attributes: { axes: [0] }, options: { opset: 11 } },
      { operator: 'Unsqueeze', inputs: [float(3, 2), int64s(0, -1)] },
      { operator: 'Unsqueeze', inputs: [float(3)], attributes: { axes: [1, 2] }, options: { opset: 9 } },
      { operator: 'Identity', inputs: [of('int64', 2, 2)] },
      { operator: 'Dropout', inputs: [float(3, 2)], attributes: { ratio: 0.3 }, options: { opset: 10 } },
      { operator: 'Dropout', inputs: [float(3, 2), f32(0.3)], options: { outputs: 2 } },
    ]);
  });

  test('Shape, Size, Constant, ConstantOfShape, Range', async () => {
    const i32 = (value: number): OnnxTensor => ({ dtype: 'int32', dims: [], data: Int32Array.of(value) });
    await expectPeer(gpu.runtime, [
      { operator: 'Shape', inputs: [float(2, 3, 4)] },
      { operator: 'Shape', inputs: [float(2, 3, 4)], attributes: { start: -2, end: 10 } },
      { operator: 'Shape', inputs: [float()], options: { opset: 9 } },
      { operator: 'Size', inputs: [float(2, 3, 4)] },
      { operator: 'Constant', inputs: [], attributes: { value: float(2, 2) } },
      { operator: 'Constant', inputs: [], attributes: { value_float: 1.5 } },
      { operator: 'Constant', inputs: [], attributes: { value_ints: [1, -2] } },
      { operator: 'Constant', inputs: [], attributes: { value_floats: [1, -2.5] } },
      { operator: 'ConstantOfShape', inputs: [int64s(2, 3)] },
      {
        operator: 'ConstantOfShape',
        inputs: [int64s(2, 0)],
        attributes: { value: { dtype: 'int32', dims: [1], data: Int32Array.of(7) } },
      },
      { operator: 'ConstantOfShape', inputs: [int64s()], attributes: { value: f32s(2.5) } },
      { operator: 'Range', inputs: [f32(0.5), f32(3), f32(0.75)] },
      { operator: 'Range', inputs: [i32(10), i32(-3), i32(-4)] },
      { operator: 'Range', inputs: [int64(3), int64(3), int64(1)] },
    ]);
  });
  const f32s = (value: number): OnnxTensor => ({ ...f32(value), dims: [1] });
});

test('a view shares no memory with its input', async () => {
  const x = float(2, 3);
  const [y] = await runOperator(gpu.runtime, 'Reshape', [x, int64s(6)]);
  y.data[0] = 99;
  expect(x.data[0]).not.toBe(99);
});
