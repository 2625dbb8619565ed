import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { inferOperator, plannedOperators } from '../../src/graph/ops/operators.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import {
  type Attributes,
  type OperatorName,
  type OperatorOptions,
  operators,
  runOperator,
} from '../../src/onnx/index.ts';
import { f32, i8, reshape, u8, zeros } from '../support/onnx-tensors.ts';
import { int64s } from '../support/planned.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const x = (...dims: number[]): OnnxTensor => zeros('float32', ...dims);
const i32 = (...values: number[]): Tensor => ({
  dtype: 'int32',
  dims: [values.length],
  data: Int32Array.from(values),
});
const bool = (...dims: number[]): Tensor => ({ ...zeros('uint8', ...dims), dtype: 'bool' });

type Case = [OperatorName, (OnnxTensor | null)[], Attributes, RegExp, OperatorOptions?];

const CASES: Case[] = [
  // inputs, opsets and attributes that an operator hasn't
  ['Relu', [], {}, /Relu needs its input X \(number 0\); received "none"/],
  ['Relu', [x(2), x(2)], {}, /Relu has at most 1 inputs at opset 27 \(X\); received 2/],
  ['Relu', [x(2)], { alpha: 1 }, /Relu has the attributes \(none\) at opset 27; received "alpha"/],
  ['Relu', [i32(1)], {}, /Relu: X must be float32 or float16; received "int32"/, { opset: 13 }],
  ['Gelu', [x(2)], {}, /Gelu is there from opset 20; received 19/, { opset: 19 }],
  [
    'BatchNormalization',
    [x(1, 2), x(2), x(2), x(2), x(2)],
    { spatial: 0 },
    /spatial must be 1: a mean is that of a channel; received 0/,
    { opset: 8 },
  ],
  ['Upsample', [x(2), f32(2)], {}, /Upsample is there from opset 7 to 9; received 27/],
  ['Relu', [x(2)], {}, /Relu: opset must be an integer from 7 to 27; received 28/, { opset: 28 }],
  ['Relu', [x(2)], {}, /opset must be an integer from 7 to 27; received 6/, { opset: 6 }],
  ['LeakyRelu', [x(2)], { alpha: 'small' }, /LeakyRelu: alpha must be a number; received "small"/],
  ['Gelu', [x(2)], { approximate: 'erf' }, /Gelu: approximate must be none or tanh; received "erf"/],
  ['Add', [x(2, 3), x(2, 2)], {}, /Add: the dims \[2,3\] and \[2,2\] must broadcast; received "3 against 2"/],
  ['Add', [x(2), i32(1, 2)], {}, /Add: B must be float32; received "int32"/],
  ['PRelu', [x(2), x(3, 2)], {}, /slope must broadcast to the dims of X, \[2\]/],
  ['Mod', [x(2), x(2)], {}, /Mod: fmod must be 1 for floats/],
  ['Where', [x(2), x(2), x(2)], {}, /Where: condition must be bool; received "float32"/],
  ['Cast', [x(2)], { to: 11 }, /Cast: to must be one of 1 \(float32\), .*; received 11/],
  ['Clip', [x(2), x(3)], {}, /Clip: min must be a scalar/],
  [
    'Add',
    [{ dtype: 'int64', dims: [1], data: BigInt64Array.of(2n ** 40n) }, int64s(1)],
    {},
    /input 0 must hold int64 values from -2\^31 to 2\^31 - 1.*received 1099511627776/,
  ],
  [
    'Add',
    [reshape(f32(1, 2), 3), x(3)],
    {},
    /Add: input 0.data must have 3 elements, as dims \[3\] say; received 2/,
  ],
  ['Not', [{ ...bool(2), data: Uint8Array.of(1, 2) }], {}, /input 0 must hold codes from 0 to 1; received 2/],
  // moves and views
  ['Transpose', [x(2, 3)], { perm: [0, 0] }, /Transpose: perm must be a permutation of 0 to 1/],
  ['Slice', [x(4), int64s(0), int64s(2), int64s(0), int64s(0)], {}, /Slice: steps must not be 0/],
  ['Slice', [x(4), int64s(0, 0), int64s(2)], {}, /Slice: axes must be from -1 to 0; received 1/],
  ['Slice', [x(4), int64s(0), int64s(2), int64s(1)], {}, /Slice: axes must be from -1 to 0; received 1/],
  ['Split', [x(5)], {}, /Split: split or num_outputs must be given/],
  ['Split', [x(5), int64s(2, 2)], {}, /split must be sizes that add up to the 5 elements of axis 0/],
  ['Split', [x(5)], {}, /the axis must split into 2 parts; received 5/, { opset: 13, outputs: 2 }],
  ['Concat', [x(2), x(2)], {}, /Concat: axis must be given/],
  [
    'Concat',
    [x(2, 2), x(3, 3)],
    { axis: 0 },
    /input 1 must have the dims of input 0, \[2,2\], except along axis 0/,
  ],
  ['Pad', [x(2), int64s(1)], {}, /pads must be 2 numbers/],
  [
    'Pad',
    [x(2), int64s(1, 1)],
    { mode: 'wrap' },
    /mode must be constant or reflect or edge; received "wrap"/,
    { opset: 18 },
  ],
  ['Pad', [x(0), int64s(1, 1)], { mode: 'edge' }, /mode must be constant to pad an empty axis/],
  ['Tile', [x(2, 2), int64s(2)], {}, /repeats must be 2 counts/],
  ['Gather', [x(3), int64s(3)], {}, /indices must be from -3 to 2; received 3/],
  ['DepthToSpace', [x(1, 3, 2, 2)], { blocksize: 2 }, /blocksize\^2 must divide C/],
  ['Reshape', [x(2, 3), int64s(4, -1)], {}, /shape must hold the 6 elements of data/],
  ['Reshape', [x(2, 3), int64s(-1, -1)], {}, /at most one -1/],
  ['Reshape', [x(2, 3), x(2)], {}, /shape must be int64 or int32; received "float32"/],
  ['Squeeze', [x(2, 1), int64s(0)], {}, /axis 0 must have the size 1/],
  ['Squeeze', [x(2, 1), int64s(1)], {}, /Squeeze has at most 1 inputs at opset 12/, { opset: 12 }],
  ['Unsqueeze', [x(2), int64s(0, 0)], {}, /axes must name every axis once/],
  ['Flatten', [x(2, 3)], { axis: 3 }, /axis must be from -2 to 2; received 3/],
  [
    'Dropout',
    [x(2), f32(0.5), { ...bool(), dims: [], data: Uint8Array.of(1) }],
    {},
    /training_mode must be false/,
  ],
  ['Constant', [], {}, /exactly one of value, value_float, .* must be given/],
  ['ConstantOfShape', [int64s(-1)], {}, /input must be a list of sizes/],
  ['Range', [f32(0), f32(1), f32(0)], {}, /delta must be a number other than 0/],
  // places that others name
  ['GatherElements', [x(2, 3), int64s(0)], {}, /indices must have the rank of data, \[2,3\]/],
  ['GatherElements', [x(3), int64s(3)], {}, /indices must be from -3 to 2; received 3/],
  ['GatherND', [x(2, 3), int64s(0, 0, 0)], {}, /must name dimensions of data, \[2,3\]/],
  ['GatherND', [x(2, 3), int64s(0, 3)], {}, /indices must be from -3 to 2; received 3/],
  ['ScatterElements', [x(3), int64s(0), x(2)], {}, /updates must have the dims of indices, \[1\]/],
  [
    'ScatterElements',
    [x(3), int64s(0), x(1)],
    { reduction: 'max' },
    /reduction must be none or add or mul;/,
    { opset: 16 },
  ],
  [
    'ScatterElements',
    [bool(3), int64s(0), bool(1)],
    { reduction: 'add' },
    /data must be .* for add; received "bool"/,
  ],
  ['ScatterND', [x(2, 3), int64s(1), x(2)], {}, /updates must have the dims \[3\]; received \[2\]/],
  ['Scatter', [x(3), int64s(0), x(1)], {}, /Scatter is there from opset 9 to 10; received 27/],
  ['TopK', [x(2, 3), int64s(4)], {}, /K must be from 0 to the 3 elements of axis 1; received 4/],
  ['CumSum', [x(2, 3), int64s(2)], {}, /axis must be from -2 to 1; received 2/],
  ['Trilu', [x(3)], {}, /input must have rank 2 or more/],
  ['OneHot', [int64s(1), int64s(3), x(3)], {}, /values must be two: off and on/],
  ['EyeLike', [x(3)], {}, /input must be a matrix/],
  ['ReverseSequence', [x(3, 2), int64s(1)], {}, /one element for each of the 2 sequences/],
  ['CenterCropPad', [x(3, 2), int64s(1)], {}, /shape must be 2 sizes/],
  ['BitShift', [u8(1), u8(1)], {}, /direction must be given/],
  ['LpNormalization', [x(2)], { p: 3 }, /p must be 1 or 2; received 3/],
  ['LRN', [x(1, 2)], {}, /size must be at least 1; received 0/],
  ['LpPool', [x(1, 1, 4)], { kernel_shape: [2], p: 0 }, /p must be at least 1; received 0/],
  ['LSTM', [x(2, 3), x(1, 8, 3), x(1, 8, 2)], {}, /X must have three dimensions/],
  ['LSTM', [x(5, 2, 3), x(1, 8, 4), x(1, 8, 2)], {}, /W must have the dims \[1, 4 \* hidden_size, 3\]/],
  ['GRU', [x(5, 2, 3), x(1, 6, 3), x(1, 6, 3)], {}, /R must have the dims \[1,6,2\]/],
  [
    'RNN',
    [x(5, 2, 3), x(1, 2, 3), x(1, 2, 2)],
    { activations: ['Sine'] },
    /activations must be Relu, Tanh, .*; received "Sine"/,
  ],
  [
    'RNN',
    [x(5, 2, 3), x(1, 2, 3), x(1, 2, 2)],
    { layout: 1 },
    /has the attributes .* at opset 13; received "layout"/,
    { opset: 13 },
  ],
  ['Einsum', [x(2, 3), x(3, 4)], { equation: 'ij->i' }, /a term for each of the 2 inputs/],
  ['Einsum', [x(2, 3), x(4, 4)], { equation: 'ij,jk' }, /dimensions of one letter must be equal, or 1/],
  ['Einsum', [x(2, 3)], { equation: 'i->i' }, /a letter for each of the 2 dimensions of input 0/],
  ['Einsum', [x(2, 3)], { equation: 'ij->ik' }, /the result must have letters of the terms, each once/],
  ['GridSample', [x(1, 1, 3, 3, 3), x(1, 2, 2, 2, 3)], {}, /X must have rank 4; received/, { opset: 16 }],
  [
    'GridSample',
    [x(1, 1, 3, 3), x(1, 2, 2, 3)],
    {},
    /grid must have the batch of X, 2 dimensions and 2 coordinates/,
  ],
  ['AffineGrid', [x(1, 2, 2), int64s(1, 1, 4, 4)], {}, /theta must have the dims \[1,2,3\]/],
  [
    'Attention',
    [x(1, 2, 3), x(1, 2, 3), x(1, 2, 3)],
    {},
    /q_num_heads must divide the last dimension of Q; received 0/,
  ],
  [
    'RotaryEmbedding',
    [x(1, 2, 4), x(2, 2), x(2, 2)],
    { num_heads: 1 },
    /cos_cache must have rank 3 and 2 in its last/,
  ],
  [
    'MatMulNBits',
    [x(2, 16), u8(1), f32(1)],
    { K: 16, N: 1, block_size: 16 },
    /B must hold 1 columns of 1 blocks/,
  ],
  // reductions
  [
    'ReduceSum',
    [x(2, 3)],
    { axes: [1] },
    /ReduceSum has the attributes keepdims, noop_with_empty_axes at opset 13/,
    { opset: 13 },
  ],
  ['ReduceMean', [x(2, 3), int64s(2)], {}, /axes must be from -2 to 1; received 2/],
  ['ReduceL2', [i32(1, 2)], {}, /data must be float32 or float16; received "int32"/],
  ['ArgMax', [x(2, 0)], { axis: 1 }, /axis 1 must not be empty/],
  ['Softmax', [x(2, 3)], { axis: 2 }, /Softmax: axis must be from -2 to 1; received 2/],
  // convolutions, products, pools
  [
    'Conv',
    [x(1, 4, 5, 5), x(6, 3, 3, 3)],
    {},
    /Conv: X must have W.dims\[1\] \* group = 3 channels; received 4/,
  ],
  [
    'Conv',
    [x(1, 4, 5, 5), x(6, 2, 3, 3)],
    { group: 4 },
    /group must divide the 6 output channels of W; received 4/,
  ],
  ['Conv', [x(1, 4, 2, 5), x(6, 4, 3, 3)], {}, /at least as large as the kernel's extent, 3; received 2/],
  [
    'Conv',
    [x(1, 4, 5, 5), x(6, 4, 3, 3), x(5)],
    {},
    /B must have one element for each of the 6 output channels/,
  ],
  [
    'Conv',
    [x(1, 4, 5, 5), x(6, 4, 3, 3)],
    { auto_pad: 'SAME' },
    /auto_pad must be NOTSET or VALID or SAME_UPPER or SAME_LOWER/,
  ],
  ['Conv', [x(1, 4, 5, 5), x(6, 4, 3, 3)], { strides: [0, 1] }, /strides must be 2 integers of at least 1/],
  ['Conv', [x(1, 4, 5, 5), x(6, 4, 3, 3)], { pads: [1, 1] }, /pads must be 4 integers of at least 0/],
  [
    'ConvTranspose',
    [x(1, 4, 5), x(4, 2, 3)],
    { output_padding: [1] },
    /output_padding must be smaller than the stride/,
  ],
  ['MatMul', [x(2, 3), x(2, 3)], {}, /MatMul: B must have as many rows as A has columns, 3; received 2/],
  ['MatMul', [x(2, 2, 3), x(3, 3, 2)], {}, /the batch dimensions \[2\] and \[3\] must broadcast/],
  ['Gemm', [x(2, 3), x(3, 4), x(3)], {}, /C must broadcast to the product, \[2,4\]/],
  ['Gemm', [x(2, 3), x(3, 4)], {}, /Gemm needs its input C/, { opset: 9 }],
  [
    'Gemm',
    [reshape(i32(1, 2), 1, 2), reshape(i32(1, 2), 2, 1)] as OnnxTensor[],
    { alpha: 0.5 },
    /alpha and beta must be whole for integers/,
  ],
  ['MaxPool', [x(1, 1, 4)], {}, /kernel_shape must be given/],
  ['AveragePool', [x(1, 1, 4)], { kernel_shape: [2], pads: [2, 0] }, /pads must be smaller than the kernel/],
  [
    'AveragePool',
    [x(1, 1, 4)],
    { kernel_shape: [2], dilations: [2] },
    /has the attributes .* at opset 18; received "dilations"/,
    { opset: 18 },
  ],
  // normalizations and resizing
  [
    'BatchNormalization',
    [x(1, 2, 3), x(2), x(2), x(3), x(2)],
    {},
    /input_mean must have one element for each of the 2 channels/,
  ],
  [
    'BatchNormalization',
    [x(1, 2, 3), x(2), x(2), x(2), x(2)],
    { training_mode: 1 },
    /training_mode must be 0/,
  ],
  ['LayerNormalization', [x(2, 3), x(2)], {}, /Scale must broadcast to the normalized dims, \[3\]/],
  ['Resize', [x(1, 1, 4)], {}, /exactly one of scales and sizes must be given; received "neither"/],
  ['Resize', [x(1, 1, 4), null, f32(1, 2)], {}, /scales must have 3 elements/],
  ['Resize', [x(1, 1, 4), null, f32(1, 1, -1)], {}, /scales must be positive/],
  ['Resize', [x(1, 1, 4), null, f32(1, 1, 2)], { mode: 'area' }, /mode must be nearest or linear or cubic/],
  [
    'Resize',
    [x(1, 1, 4), null, f32(1, 1, 2)],
    { coordinate_transformation_mode: 'tf_half_pixel_for_nn' },
    /coordinate_transformation_mode must be/,
  ],
  // sizes beyond every buffer, before tables of that length are made
  ['Resize', [x(1, 1, 4), null, f32(1, 1, 1e12)], {}, /the output must have at most 536870912 elements/],
  ['Resize', [x(1, 1, 4), null, f32(1, 1, 2 ** 23)], {}, /axis 2 may be resized to at most 16777216/],
  ['Tile', [x(4), int64s(2n ** 40n)], {}, /an output must have at most 536870912 elements/],
  ['Expand', [x(1), int64s(2 ** 20, 2 ** 20)], {}, /an output must have at most/],
  ['ConstantOfShape', [int64s(2 ** 20, 2 ** 20)], {}, /at most 134217728 elements/],
  ['Range', [f32(0), f32(1e30), f32(1)], {}, /must be finite|at most 134217728 elements/],
  ['MatMul', [x(2 ** 16, 1, 1, 1), x(2 ** 16, 1, 1)], {}, /at most 536870912 elements/],
  ['ConvTranspose', [x(1, 1, 4), x(1, 1, 3)], { dilations: [2 ** 31], output_shape: [4] }, /must fit int32/],
  ['Pad', [x(2), int64s(2n ** 40n, 0)], {}, /an output must have at most/],
  // quantized
  [
    'QLinearMul',
    [i8(1), f32(1), null, i8(1), f32(-1), null, f32(1), null],
    {},
    /B_scale must be positive and finite; received -1/,
  ],
  ['QLinearSigmoid', [i8(1), f32(1), u8(1), f32(1), null], {}, /X_zero_point must be int8; received "uint8"/],
];

describe('what an operator does not take is refused by name, and nothing is dispatched', () => {
  test.each(CASES)('%s: case %#', async (operator, inputs, attributes, message, options) => {
    const uses: string[] = [];
    const refuse = (name: string) => () => {
      uses.push(name);
      throw new Error(`${name} was called`);
    };
    const watched = {
      ...gpu.runtime,
      submit: refuse('submit'),
      upload: refuse('upload'),
      empty: refuse('empty'),
    };
    watched.scope = refuse('scope') as never;
    const error = await runOperator(watched as Runtime, operator, inputs, attributes, options).catch(
      (e) => e,
    );
    expect(error).toBeInstanceOf(LloydError);
    expect(error.message).toMatch(message);
    expect(uses).toEqual([]);
  });
});

describe('shapes follow from shapes', () => {
  test('without data, where they do not depend on it', () => {
    const shape = (
      operator: string,
      inputs: (Pick<OnnxTensor, 'dtype' | 'dims'> & { data?: never })[],
      attributes: Attributes = {},
    ) => inferOperator({ operator, inputs, attributes }).map(({ dtype, dims }) => `${dtype}[${dims}]`);
    const value = (...dims: number[]) => ({ dtype: 'float32' as const, dims });
    expect(shape('Conv', [value(2, 3, 9, 9), value(8, 3, 3, 3)], { strides: [2, 2] })).toEqual([
      'float32[2,8,4,4]',
    ]);
    expect(shape('MatMul', [value(5, 1, 2, 3), value(4, 3, 7)])).toEqual(['float32[5,4,2,7]']);
    expect(shape('ArgMax', [value(2, 3)], { axis: -1, keepdims: 0 })).toEqual(['int64[2]']);
    expect(() => shape('Reshape', [value(2, 3), { dtype: 'float32', dims: [1] }])).toThrow(
      /shape must be int64 or int32/,
    );
  });

  test('and are asked for where they do', () => {
    const inputs = [
      { dtype: 'float32' as const, dims: [6] },
      { dtype: 'int64' as const, dims: [2] },
    ];
    expect(() => inferOperator({ operator: 'Reshape', inputs, attributes: {} })).toThrow(
      /Reshape: shape must be constant: the output's shape depends on it/,
    );
  });
});

test('every planned operator is listed', () => {
  expect(operators).toEqual(expect.arrayContaining(Object.keys(plannedOperators)));
  expect(new Set(operators).size).toBe(operators.length);
});
