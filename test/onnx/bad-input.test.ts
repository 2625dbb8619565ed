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
import { f32, i8, reshape, u8, zeros } from '../support/onnx-tensors.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

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
    [
      'an unknown operator',
      'Convolve' as OperatorName,
      [],
      {},
      /operator must be one of .*received "Convolve"/,
    ],
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
      qlinear({ x: zeros('int16', 1, 4, 5, 5) }),
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
      'no elements to add to some',
      'QLinearAdd',
      sum({ a: zeros('int8', 0, 3) }),
      {},
      /the dims \[0,3\] and \[2,3\] must broadcast; received "0 against 2"/,
    ],
    [
      'no elements in a product with some',
      'QLinearMatMul',
      product({ a: zeros('int8', 2, 0) }),
      {},
      /b must have as many rows as a has columns, 0; received 3/,
    ],
    [
      'a kernel of no size',
      'ConvInteger',
      [zeros('uint8', 1, 1, 3, 3), zeros('uint8', 1, 1, 0, 3)],
      {},
      /the spatial dims of w must not be 0/,
    ],
    [
      'no scales',
      'DequantizeLinear',
      [u8(1, 2), zeros('float32', 0)],
      { axis: 0 },
      /x_scale must be a scalar or/,
    ],
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
      /attributes \(none\) at opset 27; received "transB"/,
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
