import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { DType, Tensor } from '../../src/gpu/tensor.ts';
import {
  type Attributes,
  type Inputs,
  type OperatorName,
  type OperatorOptions,
  runOperator,
} from '../../src/onnx/index.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const f32 = (...values: number[]): Tensor => ({
  dtype: 'float32',
  dims: values.length > 1 ? [values.length] : [],
  data: Float32Array.from(values),
});
const i8 = (...values: number[]): Tensor => ({
  dtype: 'int8',
  dims: values.length > 1 ? [values.length] : [],
  data: Int8Array.from(values),
});
const u8 = (...values: number[]): Tensor => ({
  dtype: 'uint8',
  dims: values.length > 1 ? [values.length] : [],
  data: Uint8Array.from(values),
});
const reshape = (tensor: Tensor, ...dims: number[]): Tensor => ({ ...tensor, dims });
const zeros = (dtype: 'int8' | 'uint8' | 'float32', ...dims: number[]): Tensor => {
  const length = dims.reduce((a, b) => a * b, 1);
  const data =
    dtype === 'int8'
      ? new Int8Array(length)
      : dtype === 'uint8'
        ? new Uint8Array(length)
        : new Float32Array(length);
  return { dtype, dims, data };
};

describe("ONNX's own examples", () => {
  const run = (
    operator: OperatorName,
    inputs: Inputs,
    attributes: Attributes = {},
    options: OperatorOptions = {},
  ) => runOperator(gpu.runtime, operator, inputs, attributes, options);

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

describe('bad input is refused by name, and nothing is dispatched', () => {
  const conv = () => ({
    x: zeros('uint8', 1, 4, 5, 5),
    scale: f32(0.5),
    zero: u8(3),
    w: zeros('int8', 6, 4, 3, 3),
    wScale: f32(0.25),
    wZero: i8(0),
    yScale: f32(1),
    yZero: u8(7),
    bias: null as Tensor | null,
  });
  const qlinear = (changes: Partial<ReturnType<typeof conv>>): Inputs =>
    Object.values({ ...conv(), ...changes });
  const q = (x: Tensor | null, scale: Tensor | null, zero: Tensor | null = null): Inputs => [x, scale, zero];
  const product = (changes: Record<string, Tensor | null>): Inputs =>
    Object.values({
      ...{ a: zeros('int8', 2, 3), aScale: f32(1), aZero: i8(0), b: zeros('int8', 3, 4), bScale: f32(1) },
      ...{ bZero: i8(0), yScale: f32(1), yZero: i8(0) },
      ...changes,
    });
  const sum = (changes: Record<string, Tensor | null>): Inputs =>
    Object.values({
      ...{ a: zeros('int8', 2, 3), aScale: f32(1), aZero: i8(0), b: zeros('int8', 2, 3), bScale: f32(1) },
      ...{ bZero: i8(0), yScale: f32(1), yZero: i8(0) },
      ...changes,
    });
  const half = (bits: number): Tensor => ({ dtype: 'float16', dims: [], data: Uint16Array.of(bits) });
  const bias = (...dims: number[]): Tensor => ({ dtype: 'int32', dims, data: new Int32Array(6) });
  const as = (dtype: string, tensor: Tensor): Tensor => ({ ...tensor, dtype: dtype as DType });

  const cases: [string, OperatorName, Inputs, Attributes, RegExp, OperatorOptions?][] = [
    ['an unknown operator', 'Conv' as OperatorName, [], {}, /operator must be one of .*received "Conv"/],
    [
      'an unknown rule',
      'QLinearConv',
      qlinear({}),
      {},
      /requantize must be one of/,
      { requantize: 'fast' as 'lab' },
    ],
    [
      'wrap elsewhere',
      'QLinearConv',
      qlinear({}),
      {},
      /for QuantizeLinear with/,
      { requantize: 'lab', overflow: 'wrap' },
    ],
    ['a missing input', 'QLinearConv', [zeros('uint8', 1, 1, 3, 3)], {}, /QLinearConv needs its input w/],
    ['a missing scale', 'QuantizeLinear', [f32(1, 2)], {}, /needs its input y_scale/],
    ['too many inputs', 'DynamicQuantizeLinear', [f32(1), f32(2)], {}, /at most 1 inputs/],
    [
      'a wrong rank',
      'ConvInteger',
      [zeros('uint8', 4, 5), zeros('uint8', 4, 5)],
      {},
      /x must have rank 3 to 5/,
    ],
    [
      'ranks that differ',
      'QLinearConv',
      qlinear({ w: zeros('int8', 6, 4, 3) }),
      {},
      /w must have the rank of x/,
    ],
    [
      'a zero scale',
      'QLinearConv',
      qlinear({ scale: f32(0) }),
      {},
      /x_scale must be positive and finite; received 0/,
    ],
    [
      'a negative scale',
      'QLinearConv',
      qlinear({ wScale: f32(-1) }),
      {},
      /w_scale must be positive and finite; received -1/,
    ],
    [
      'a NaN scale',
      'QuantizeLinear',
      q(f32(1), f32(Number.NaN)),
      {},
      /y_scale must be positive.*received NaN/,
    ],
    [
      'an infinite scale',
      'DequantizeLinear',
      [u8(1), f32(Number.POSITIVE_INFINITY)],
      {},
      /received Infinity/,
    ],
    [
      'channels that differ',
      'QLinearConv',
      qlinear({ w: zeros('int8', 6, 3, 3, 3) }),
      {},
      /= 3 channels; received 4/,
    ],
    [
      'a group that does not divide',
      'QLinearConv',
      qlinear({}),
      { group: 3 },
      /group must divide the 4 channels/,
    ],
    [
      'outputs a group does not divide',
      'ConvInteger',
      [zeros('int8', 1, 4, 3, 3), zeros('int8', 5, 2, 1, 1)],
      { group: 2 },
      /group must divide the 5 output/,
    ],
    ['a group of 0', 'QLinearConv', qlinear({}), { group: 0 }, /group must divide/],
    ['a dimension of 0', 'QLinearConv', qlinear({ x: zeros('uint8', 0, 4, 5, 5) }), {}, /no dimension of 0/],
    ['no elements', 'QuantizeLinear', q(zeros('float32', 0), f32(1)), {}, /no dimension of 0/],
    [
      'a kernel larger than the input',
      'QLinearConv',
      qlinear({}),
      { dilations: [3, 3] },
      /kernel's extent, 7; received 5/,
    ],
    ['too few strides', 'QLinearConv', qlinear({}), { strides: [1] }, /strides must be 2 integers/],
    [
      'a stride of 0',
      'QLinearConv',
      qlinear({}),
      { strides: [0, 1] },
      /strides must be 2 integers of at least 1/,
    ],
    [
      'negative pads',
      'QLinearConv',
      qlinear({}),
      { pads: [0, 0, -1, 0] },
      /pads must be 4 integers of at least 0/,
    ],
    ['an unknown auto_pad', 'QLinearConv', qlinear({}), { auto_pad: 'SAME' }, /auto_pad must be/],
    [
      'pads and auto_pad',
      'QLinearConv',
      qlinear({}),
      { auto_pad: 'VALID', pads: [1, 1, 1, 1] },
      /pads cannot be used/,
    ],
    ['another kernel_shape', 'QLinearConv', qlinear({}), { kernel_shape: [2, 2] }, /kernel_shape must be/],
    [
      'an unknown attribute',
      'QLinearConv',
      qlinear({}),
      { dilation: [1, 1] },
      /has the attributes .*received "dilation"/,
    ],
    [
      'a bias of another length',
      'QLinearConv',
      qlinear({ bias: { dtype: 'int32', dims: [5], data: new Int32Array(5) } }),
      {},
      /B must have one element/,
    ],
    [
      'a bias of another type',
      'QLinearConv',
      qlinear({ bias: f32(1, 2, 3, 4, 5, 6) }),
      {},
      /B must be int32/,
    ],
    [
      'scales for other channels',
      'QLinearConv',
      qlinear({ wScale: f32(1, 2) }),
      {},
      /w_scale must be a scalar or have one/,
    ],
    [
      'a zero point of another type',
      'QLinearConv',
      qlinear({ zero: i8(3) }),
      {},
      /x_zero_point must be uint8; received "int8"/,
    ],
    [
      'an input scale per channel',
      'QLinearConv',
      qlinear({ scale: f32(1, 2, 3, 4) }),
      {},
      /x_scale must be a scalar/,
    ],
    [
      'a multiplier beyond float32',
      'QLinearConv',
      qlinear({ scale: f32(1e30), wScale: f32(1e30) }),
      {},
      /must fit float32/,
    ],
    [
      'a type it does not take',
      'QLinearConv',
      qlinear({ x: as('int16', zeros('uint8', 1, 4, 5, 5)) }),
      {},
      /x must be uint8 or int8; received "int16"/,
    ],
    [
      'float16 scales beside float32 ones',
      'QLinearMatMul',
      product({ bScale: half(0x3800) }),
      {},
      /b_scale must be float32; received "float16"/,
    ],
    [
      'bfloat16 scales',
      'QLinearMatMul',
      product({ aScale: as('bfloat16', half(0x3f80)) }),
      {},
      /a_scale must be float32 or float16; received "bfloat16"/,
    ],
    [
      'float16 scales of a convolution, which ONNX does not define',
      'QLinearConv',
      qlinear({ scale: half(0x3800) }),
      {},
      /x_scale must be float32; received "float16"/,
    ],
    [
      'an output scale a row, which ONNX does not define',
      'QLinearMatMul',
      product({ yScale: f32(1, 2) }),
      {},
      /y_scale must be a scalar or a tensor of one element/,
    ],
    [
      'an input scale a column',
      'QLinearMatMul',
      product({ aScale: f32(1, 2, 3) }),
      {},
      /a_scale must be a scalar, have 2 elements/,
    ],
    ...(
      [
        ['a zero', 0],
        ['a negative', -0.5],
        ['a NaN', Number.NaN],
        ['an infinite', Number.POSITIVE_INFINITY],
      ] as const
    ).flatMap(([name, bad]): (typeof cases)[number][] => [
      [
        `${name} scale of a product`,
        'QLinearMatMul',
        product({ bScale: f32(bad) }),
        {},
        /b_scale must be pos/,
      ],
      [
        `${name} output scale`,
        'QLinearMatMul',
        product({ yScale: f32(bad) }),
        {},
        /y_scale must be positive/,
      ],
      [
        `${name} output scale of a convolution`,
        'QLinearConv',
        qlinear({ yScale: f32(bad) }),
        {},
        /y_scale must/,
      ],
      [
        `${name} scale among a channel's`,
        'QLinearConv',
        qlinear({ wScale: f32(1, 1, 1, 1, 1, bad) }),
        {},
        /w_sc/,
      ],
      [`${name} scale to quantize by`, 'QuantizeLinear', q(f32(1), f32(bad)), {}, /y_scale must be positive/],
      [
        `${name} scale to dequantize by`,
        'DequantizeLinear',
        [u8(1), f32(bad)],
        {},
        /x_scale must be positive/,
      ],
      [`${name} scale of a sum`, 'QLinearAdd', sum({ bScale: f32(bad) }), {}, /B_scale must be positive/],
      [
        `${name} scale of a concatenation`,
        'QLinearConcat',
        [f32(bad), i8(0), i8(1, 2), f32(1), i8(0)],
        { axis: 0 },
        /Y_scale must be positive/,
      ],
    ]),
    ['a missing zero point', 'QLinearMatMul', product({ bZero: null }), {}, /needs its input b_zero_point/],
    ['a missing operand', 'QLinearAdd', sum({ b: null }), {}, /QLinearAdd needs its input B/],
    ['nothing to concatenate', 'QLinearConcat', [f32(1), i8(0)], { axis: 0 }, /needs 2 \+ 3 n inputs/],
    ['no inputs', 'MatMulInteger', [], {}, /MatMulInteger needs its input A/],
    ['nothing to quantize', 'DynamicQuantizeLinear', [null], {}, /needs its input x/],
    [
      'no elements to add',
      'QLinearAdd',
      sum({ a: zeros('int8', 0, 3) }),
      {},
      /A must have no dimension of 0/,
    ],
    [
      'no elements in a product',
      'QLinearMatMul',
      product({ a: zeros('int8', 2, 0) }),
      {},
      /no dimension of 0/,
    ],
    [
      'a kernel of no size',
      'ConvInteger',
      [zeros('uint8', 1, 1, 3, 3), zeros('uint8', 1, 1, 0, 3)],
      {},
      /w must have no dimension of 0/,
    ],
    ['no scales', 'DequantizeLinear', [u8(1, 2), zeros('float32', 0)], {}, /x_scale must have no dimension/],
    ['a wrong rank of a bias', 'QLinearConv', qlinear({ bias: bias(1, 6) }), {}, /B must have one element/],
    ['too many dimensions', 'ConvInteger', [zeros('int8', 1, 1, 1, 1, 1, 1), i8(1)], {}, /rank 3 to 5/],
    [
      'bfloat16',
      'QuantizeLinear',
      q(as('bfloat16', f32(1)), f32(1)),
      {},
      /x must be float32 or float16 or int32; received "bfloat16"/,
    ],
    [
      'float8 output',
      'QuantizeLinear',
      q(f32(1), f32(1)),
      { output_dtype: 17 },
      /output_dtype must be one of .*received 17/,
    ],
    [
      'types that disagree',
      'QuantizeLinear',
      q(f32(1), f32(1), i8(0)),
      { output_dtype: 2 },
      /must agree with y_zero_point/,
    ],
    [
      'data of another type',
      'QuantizeLinear',
      q({ dtype: 'float32', dims: [1], data: new Int32Array(1) }, f32(1)),
      {},
      /data must be a Float32Array/,
    ],
    [
      'data of another length',
      'QuantizeLinear',
      q(reshape(f32(1, 2), 3), f32(1)),
      {},
      /must have 3 elements/,
    ],
    [
      'an axis out of range',
      'QuantizeLinear',
      q(zeros('float32', 2, 3), f32(1, 1)),
      { axis: 2 },
      /axis must be from -2 to 1/,
    ],
    [
      'scales for another axis',
      'QuantizeLinear',
      q(zeros('float32', 2, 3), f32(1, 1)),
      {},
      /y_scale must be a scalar or have one/,
    ],
    [
      'blocks of another size',
      'QuantizeLinear',
      q(zeros('float32', 2, 6), reshape(f32(1, 1, 1, 1), 2, 2)),
      { block_size: 2 },
      /dims \[2,3\] for blocks of 2/,
    ],
    [
      'a zero point of another shape',
      'QuantizeLinear',
      q(zeros('float32', 2, 2), f32(1, 1), i8(0)),
      {},
      /y_zero_point must have the dims of y_scale/,
    ],
    [
      'codes out of range',
      'DequantizeLinear',
      [as('int4', i8(3, 8)), f32(1)],
      {},
      /codes from -8 to 7; received 8/,
    ],
    [
      'a zero point for int32',
      'DequantizeLinear',
      [
        { dtype: 'int32', dims: [], data: Int32Array.of(1) },
        f32(1),
        { dtype: 'int32', dims: [], data: Int32Array.of(1) },
      ],
      {},
      /x_zero_point must be 0 for int32/,
    ],
    [
      'inner sizes that differ',
      'MatMulInteger',
      [zeros('int8', 2, 3), zeros('int8', 4, 2)],
      {},
      /as many rows as a has columns, 3; received 4/,
    ],
    ['a scalar operand', 'MatMulInteger', [i8(1), zeros('int8', 1, 2)], {}, /a must have rank 1 or more/],
    [
      'batches that do not broadcast',
      'MatMulInteger',
      [zeros('int8', 2, 1, 1), zeros('int8', 3, 1, 1)],
      {},
      /must broadcast; received "2 against 3"/,
    ],
    [
      'zero points for other rows',
      'MatMulInteger',
      [zeros('int8', 2, 3), zeros('int8', 3, 4), i8(1, 2, 3)],
      {},
      /a_zero_point must be a scalar, have 2/,
    ],
    [
      'an attribute of MatMul',
      'MatMulInteger',
      [zeros('int8', 2, 3), zeros('int8', 3, 4)],
      { transB: 1 },
      /attributes \(none\); received "transB"/,
    ],
    [
      'shapes that do not broadcast',
      'QLinearAdd',
      sum({ a: zeros('int8', 2, 3), b: zeros('int8', 2, 2) }),
      {},
      /the dims \[2,3\] and \[2,2\] must broadcast; received "3 against 2"/,
    ],
    [
      'a concat without its axis',
      'QLinearConcat',
      [f32(1), i8(0), i8(1, 2), f32(1), i8(0)],
      {},
      /needs its attribute axis/,
    ],
    [
      'concat shapes that differ',
      'QLinearConcat',
      [f32(1), i8(0), zeros('int8', 2, 2), f32(1), i8(0), zeros('int8', 3, 3), f32(1), i8(0)],
      { axis: 0 },
      /x1 must have the dims of x0/,
    ],
    ['inputs that are no array', 'QuantizeLinear', {} as Inputs, {}, /inputs must be an array/],
  ];

  /** The runtime, with a record of whatever it is asked to submit or allocate. */
  function watched(runtime: Runtime) {
    const uses: string[] = [];
    const watch = <T extends (...args: never[]) => unknown>(name: string, method: T) =>
      ((...args: never[]) => {
        uses.push(name);
        return method(...args);
      }) as T;
    return {
      uses,
      runtime: { ...runtime, submit: watch('submit', runtime.submit), scope: watch('scope', runtime.scope) },
    };
  }

  for (const [name, operator, inputs, attributes, message, options] of cases) {
    test(name, async () => {
      const { uses, runtime } = watched(gpu.runtime);
      const error = await runOperator(runtime as Runtime, operator, inputs, attributes, options).catch(
        (e) => e,
      );
      expect(error).toBeInstanceOf(LloydError);
      expect(error.message).toMatch(message);
      expect(uses).toEqual([]);
    });
  }
});
