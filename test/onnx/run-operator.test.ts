import { describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/gpu/tensor.ts';
import {
  type Attributes,
  type Inputs,
  type OperatorName,
  type OperatorOptions,
  runOperator,
} from '../../src/onnx/index.ts';
import { f32, i8, reshape, u8, zeros } from '../support/onnx-tensors.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe("ONNX's own examples", () => {
  const run = (
    operator: OperatorName,
    inputs: Inputs,
    attributes: Attributes = {},
    options: OperatorOptions = {},
  ) => runOperator(gpu.runtime, operator, inputs, attributes, options);

  test.each([
    ['SAME_UPPER', [21, 32, 43, 4]],
    ['SAME_LOWER', [10, 21, 32, 43]],
  ])('ConvInteger pads an odd cell by %s on its own side', async (auto_pad, want) => {
    const [y] = await run('ConvInteger', [reshape(u8(1, 2, 3, 4), 1, 1, 4), reshape(u8(1, 10), 1, 1, 2)], {
      auto_pad,
    });
    expect([...y.data]).toEqual(want);
  });

  test('QuantizeLinear, per tensor', async () => {
    const [y] = await run('QuantizeLinear', [f32(0, 2, 3, 1000, -254, -1000), f32(2), u8(128)]);
    expect(y).toEqual(reshape(u8(128, 129, 130, 255, 1, 0), 6));
  });

  test('QuantizeLinear, per axis', async () => {
    const x = reshape(
      f32(-162, 10, -100, 232, -20, -50, -76, 0, 0, 252, 32, -44, 245, -485, -960, -270, -375, -470),
      1,
      3,
      3,
      2,
    );
    const [y] = await run('QuantizeLinear', [x, f32(2, 4, 5), u8(84, 24, 196)]);
    expect([...y.data]).toEqual([3, 89, 34, 200, 74, 59, 5, 24, 24, 87, 32, 13, 245, 99, 4, 142, 121, 102]);
  });

  test('QuantizeLinear without a zero point is uint8; output_dtype names another type', async () => {
    const [plain] = await run('QuantizeLinear', [f32(-1, 0.5, 1.5, 300), f32(1)]);
    expect(plain).toEqual(reshape(u8(0, 0, 2, 255), 4));
    const [int4] = await run('QuantizeLinear', [f32(-100, 2.5, 3.5, 100), f32(1)], { output_dtype: 22 });
    expect(int4).toEqual({ dtype: 'int4', dims: [4], data: Int8Array.of(-8, 2, 4, 7) });
    const [int2] = await run('QuantizeLinear', [f32(-100, -0.5, 0.6, 100), f32(1)], { output_dtype: 26 });
    expect(int2).toEqual({ dtype: 'int2', dims: [4], data: Int8Array.of(-2, 0, 1, 1) });
  });

  test('QuantizeLinear, blocked', async () => {
    const x = reshape(f32(6, 12, 50, 5, 1, 8, 4, 5, 3, 0, 20, 10, 9, 4, 1, 7, 16, 22), 3, 6);
    const scale = reshape(f32(1.5, 2.5, 3, 4.9, 5.1, 6.9), 3, 2);
    const [y] = await run('QuantizeLinear', [x, scale, reshape(u8(0, 1, 0, 0, 2, 3), 3, 2)], {
      axis: 1,
      block_size: 3,
    });
    const expected = [4, 8, 33, 3, 1, 4, 1, 2, 1, 0, 4, 2, 4, 3, 2, 4, 5, 6];
    expect([...y.data]).toEqual(expected);
  });

  test('QuantizeLinear of int32 and float16, and precision', async () => {
    const x: Tensor = { dtype: 'int32', dims: [3], data: Int32Array.of(5, -7, 2 ** 30) };
    expect([...(await run('QuantizeLinear', [x, f32(2), i8(1)]))[0].data]).toEqual([3, -3, 127]);
    // 160 / 0.7979: 200.5385 in float32, a tie of 200.5 once rounded to float16.
    const half: Tensor = { dtype: 'float16', dims: [1], data: Uint16Array.of(0x5900) };
    const scale: Tensor = { dtype: 'float16', dims: [], data: Uint16Array.of(0x3a62) };
    expect([...(await run('QuantizeLinear', [half, scale, u8(0)]))[0].data]).toEqual([201]);
    expect([...(await run('QuantizeLinear', [half, scale, u8(0)], { precision: 10 }))[0].data]).toEqual([
      200,
    ]);
  });

  test("QuantizeLinear with the lab's wrap", async () => {
    const inputs = [f32(-1, 126, 200), f32(1), i8(100)];
    expect([...(await run('QuantizeLinear', inputs, {}, { requantize: 'lab' }))[0].data]).toEqual([
      99, 127, 127,
    ]);
    const wrapped = await run('QuantizeLinear', inputs, {}, { requantize: 'lab', overflow: 'wrap' });
    expect([...wrapped[0].data]).toEqual([99, -30, 44]);
  });

  test('DequantizeLinear, int32 and 16 bits', async () => {
    const [y] = await run('DequantizeLinear', [u8(0, 3, 128, 255), f32(2), u8(128)]);
    expect([...y.data]).toEqual([-256, -250, 0, 254]);
    const bias: Tensor = { dtype: 'int32', dims: [2], data: Int32Array.of(-(2 ** 31), 16777217) };
    expect([...(await run('DequantizeLinear', [bias, f32(0.5)]))[0].data]).toEqual([-(2 ** 30), 8388608]);
    const words: Tensor = { dtype: 'uint16', dims: [2], data: Uint16Array.of(30000, 31000) };
    const zero: Tensor = { dtype: 'uint16', dims: [], data: Uint16Array.of(32767) };
    expect([...(await run('DequantizeLinear', [words, f32(2), zero]))[0].data]).toEqual([-5534, -3534]);
  });

  test('DynamicQuantizeLinear', async () => {
    const [y, scale, zero] = await run('DynamicQuantizeLinear', [f32(0, 2, -3, -2.5, 1.34, 0.5)]);
    expect([...y.data]).toEqual([153, 255, 0, 26, 221, 179]);
    expect([scale.data[0], zero.data[0], zero.dtype]).toEqual([Math.fround(5 / 255), 153, 'uint8']);
  });

  test('ConvInteger, with and without padding', async () => {
    const x = reshape(u8(2, 3, 4, 5, 6, 7, 8, 9, 10), 1, 1, 3, 3);
    const w = reshape(u8(1, 1, 1, 1), 1, 1, 2, 2);
    const [y] = await run('ConvInteger', [x, w, u8(1)]);
    expect(y).toEqual({ dtype: 'int32', dims: [1, 1, 2, 2], data: Int32Array.of(12, 16, 24, 28) });
    const [padded] = await run('ConvInteger', [x, w, u8(1)], { pads: [1, 1, 1, 1] });
    expect([...padded.data]).toEqual([1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9]);
  });

  test('MatMulInteger, and numpy shapes', async () => {
    const a = reshape(u8(11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0), 4, 3);
    const b = reshape(u8(1, 4, 2, 5, 3, 6), 3, 2);
    const [y] = await run('MatMulInteger', [a, b, u8(12), u8(0)]);
    expect([...y.data]).toEqual([-38, -83, -44, -98, -50, -113, -56, -128]);
    expect((await run('MatMulInteger', [u8(1, 2, 3), u8(1, 2, 3)]))[0]).toEqual({
      dtype: 'int32',
      dims: [],
      data: Int32Array.of(14),
    });
    expect(
      (await run('MatMulInteger', [zeros('int8', 2, 1, 3, 4), zeros('uint8', 5, 4, 6)]))[0].dims,
    ).toEqual([2, 5, 3, 6]);
  });

  test('QLinearMatMul', async () => {
    const a = reshape(u8(208, 236, 0, 238, 3, 214, 255, 29), 2, 4);
    const b = reshape(u8(152, 51, 244, 60, 26, 255, 0, 127, 246, 127, 254, 247), 4, 3);
    const [y] = await run('QLinearMatMul', [
      a,
      f32(0.0066),
      u8(113),
      b,
      f32(0.00705),
      u8(114),
      f32(0.0107),
      u8(118),
    ]);
    expect([...y.data]).toEqual([168, 115, 255, 1, 66, 151]);
    // The same scales in float16: 0.0066, 0.00705 and 0.0107 to eleven bits.
    const half = (bits: number): Tensor => ({ dtype: 'float16', dims: [1], data: Uint16Array.of(bits) });
    const scales = [half(0x1ec2), half(0x1f38), half(0x217a)];
    const [same] = await run('QLinearMatMul', [
      ...[a, scales[0], u8(113), b, scales[1], u8(114)],
      ...[scales[2], u8(118)],
    ]);
    expect([...same.data]).toEqual([168, 115, 255, 1, 66, 151]);
  });

  test('QLinearAdd broadcasts as numpy does', async () => {
    const a = reshape(i8(1, 2, 3, 4, 5, 6), 2, 3);
    const b = reshape(i8(10, 20), 2, 1);
    const add = (left: Tensor, right: Tensor) =>
      run('QLinearAdd', [left, f32(0.5), i8(0), right, f32(1), i8(0), f32(0.5), i8(0)]);
    expect((await add(a, b))[0]).toEqual(reshape(i8(21, 22, 23, 44, 45, 46), 2, 3));
    expect((await add(b, reshape(i8(1, 2, 3), 3)))[0]).toEqual(reshape(i8(12, 14, 16, 22, 24, 26), 2, 3));
    expect((await add(i8(1), reshape(a, 1, 2, 3, 1)))[0]).toEqual(
      reshape(i8(3, 5, 7, 9, 11, 13), 1, 2, 3, 1),
    );
  });

  test('QLinearConv', async () => {
    const x = [
      ...[
        255, 174, 162, 25, 203, 168, 58, 15, 59, 237, 95, 129, 0, 64, 56, 242, 153, 221, 168, 12, 166, 232,
        178, 186,
      ],
      ...[
        195, 237, 162, 237, 188, 39, 124, 77, 80, 102, 43, 127, 230, 21, 83, 41, 40, 134, 255, 154, 92, 141,
        42, 148, 247,
      ],
    ];
    const inputs = [
      ...[reshape(u8(...x), 1, 1, 7, 7), f32(0.00369204697), u8(132), reshape(u8(0), 1, 1, 1, 1)],
      ...[f32(0.00172794575), u8(255), f32(0.00162681262), u8(123)],
    ];
    const [y] = await run('QLinearConv', inputs);
    expect([...y.data]).toEqual(x.map((value) => 255 - value));
  });
});
