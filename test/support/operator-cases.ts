// Seeded cases of every operator: dtypes, attributes, opsets, odd sizes, empty tensors, axes from either end.
import type { Operator } from '../../src/graph/ops/operator.ts';
import { type OperatorName, plannedOperators } from '../../src/graph/ops/operators.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import {
  attention,
  biased,
  embedNorm,
  fusedMatMul,
  matMulNBits,
  multiHeadAttention,
  packedAttention,
  rotary,
  skipNorm,
} from './cases-attention.ts';
import { einsum } from './cases-einsum.ts';
import { affineGrid, gridSample } from './cases-grid.ts';
import {
  centerCropPad,
  compress,
  cumSum,
  eyeLike,
  gatherElements,
  gatherND,
  nonZero,
  oneHot,
  reverseSequence,
  scatterElements,
  scatterND,
  topK,
  trilu,
} from './cases-indexing.ts';
import {
  arg,
  channelNorm,
  conv,
  convTranspose,
  gemm,
  globalPool,
  groupNorm,
  layerNorm,
  matMul,
  pool,
  reduction,
  resize,
  softmax,
  upsample,
} from './cases-layers.ts';
import {
  anyType,
  blocks,
  concat,
  constant,
  constantOfShape,
  expand,
  flatten,
  gather,
  pad,
  range,
  reshape,
  shape,
  slice,
  split,
  squeeze,
  tile,
  transpose,
  unsqueeze,
} from './cases-moves.ts';
import { anyDims, broadcasting, float32, float32s, type Generator, positive, WORDS } from './cases-of.ts';
import {
  binary,
  cast,
  clip,
  divided,
  pair,
  power,
  someFloat,
  someOf,
  unary,
  variadic,
} from './cases-pointwise.ts';
import { recurrent } from './cases-recurrent.ts';
import { globalLpPool, localResponse, lpPool, meanVariance, row } from './cases-rows.ts';
import { randomTensor } from './planned.ts';

const BOOLS: readonly OnnxDType[] = ['bool'];
const INTEGERS: readonly OnnxDType[] = ['int32', 'int64', 'uint8', 'int8'];

/** What ONNX Runtime calls an operator. */
export const peerName = (operator: string) => {
  const { domain = '' } = plannedOperators[operator as OperatorName] as Operator;
  return { opType: operator.slice(operator.lastIndexOf('.') + 1), domain };
};

/** A case of every operator. */
export const operatorCases: Readonly<Record<string, Generator>> = {
  ...Object.fromEntries(
    ['Sigmoid', 'HardSwish', 'Tanh', 'Erf', 'Softplus', 'Softsign', 'Exp', 'Floor', 'Ceil'].map((name) => [
      name,
      unary(),
    ]),
  ),
  Round: unary(),
  Reciprocal: unary(undefined, { dtypes: ['float32'] }),
  Swish: unary((random) => someFloat(random, 'alpha'), { opsets: [24], dtypes: ['float32'] }),
  Mish: unary(undefined, { dtypes: ['float32'] }),
  Sin: unary(undefined, { dtypes: ['float32'] }),
  Cos: unary(undefined, { dtypes: ['float32'] }),
  Atan: unary(undefined, { dtypes: ['float32'] }),
  ...Object.fromEntries(
    (
      [
        ['Tan', (x) => x / 4],
        ['Asin', (x) => x / (1 + Math.abs(x))],
        ['Acos', (x) => x / (1 + Math.abs(x))],
        ['Atanh', (x) => x / (1 + Math.abs(x))],
        ['Sinh', (x) => x],
        ['Cosh', (x) => x],
        ['Asinh', (x) => x],
        ['Acosh', (x) => 1 + Math.abs(x)],
      ] as const satisfies [string, (x: number) => number][]
    ).map(([name, within]) => [name, someOf(within)]),
  ),
  Shrink: unary((random) => ({ ...someFloat(random, 'lambd'), ...someFloat(random, 'bias') }), {
    dtypes: ['float32'],
  }),
  IsInf: (random) => {
    const x = float32(random, anyDims(random));
    for (const i of x.data.keys()) if (i % 2) (x.data as Float32Array)[i] = random.pick([-1, 1]) / 0;
    const attributes = random.pick<Attributes>([{}, { detect_negative: 0 }, { detect_positive: 0 }]);
    return { inputs: [x], attributes, opset: random.pick([10, 20]) };
  },
  IsNaN: (random) => {
    const x = float32(random, anyDims(random));
    for (let i = 0; i < x.data.length; i += 3) (x.data as Float32Array)[i] = Number.NaN;
    return { inputs: [x], opset: 13 };
  },
  Relu: unary(undefined, { dtypes: ['float32', 'int32', 'int8', 'float16'] }),
  Abs: unary(undefined, { dtypes: ['float32', 'int32', 'int64', 'int8'] }),
  Neg: unary(undefined, { dtypes: ['float32', 'int32', 'int64', 'int8'] }),
  Sign: unary(undefined, { dtypes: ['float32', 'int32', 'int64', 'int8'] }),
  LeakyRelu: unary((random) => someFloat(random, 'alpha'), { opsets: [9, 16] }),
  Elu: unary((random) => someFloat(random, 'alpha'), { opsets: [9, 22] }),
  Celu: unary((random) => someFloat(random, 'alpha'), { opsets: [12], dtypes: ['float32'] }),
  Selu: unary((random) => ({ ...someFloat(random, 'alpha'), ...someFloat(random, 'gamma') })),
  HardSigmoid: unary((random) => ({ ...someFloat(random, 'alpha'), ...someFloat(random, 'beta') })),
  ThresholdedRelu: unary((random) => someFloat(random, 'alpha'), { dtypes: ['float32'] }),
  Gelu: unary((random) => random.pick<Attributes>([{}, { approximate: 'tanh' }, { approximate: 'none' }]), {
    opsets: [20],
    dtypes: ['float32'],
  }),
  Log: (random) => ({ inputs: [positive(random, anyDims(random))], opset: 13 }),
  Sqrt: (random) => ({ inputs: [positive(random, anyDims(random))], opset: 13 }),
  PRelu: (random) => {
    const dims = anyDims(random);
    const inputs = [float32(random, dims), float32(random, broadcasting(random, dims))];
    return { inputs, opset: random.pick([9, 16]) };
  },
  Clip: clip,
  Cast: cast,
  CastLike: (random) => ({
    inputs: [
      randomTensor(random, random.pick(['float32', 'int32', 'bool'] as const), anyDims(random)),
      randomTensor(random, random.pick(['float32', 'int64', 'bool'] as const), [2]),
    ],
    opset: 15,
  }),
  Add: binary([...WORDS, 'float16']),
  Sub: binary(),
  Mul: binary(),
  Div: divided(),
  Mod: divided((random, dtype) => ({ fmod: dtype === 'float32' ? 1 : random.integer(0, 1) })),
  Pow: power,
  Min: variadic(WORDS),
  Max: variadic([...WORDS, 'int8']),
  Sum: variadic(['float32']),
  Mean: variadic(['float32']),
  ...Object.fromEntries(
    ['Equal', 'Less', 'Greater', 'LessOrEqual', 'GreaterOrEqual'].map((name) => [name, binary()]),
  ),
  ...Object.fromEntries(['And', 'Or', 'Xor'].map((name) => [name, binary(BOOLS)])),
  ...Object.fromEntries(
    ['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'].map((name) => [name, binary(INTEGERS, [18])]),
  ),
  BitShift: (random) => {
    const [x, y] = pair(random, random.pick(['uint8', 'uint32'] as const));
    const by = { ...y, data: (y.data as Uint8Array).map((bits) => bits % 8) } as OnnxTensor;
    return { inputs: [x, by], attributes: { direction: random.pick(['LEFT', 'RIGHT']) }, opset: 11 };
  },
  BitwiseNot: unary(undefined, { opsets: [18], dtypes: INTEGERS }),
  Not: unary(undefined, { opsets: [13], dtypes: BOOLS }),
  Where: (random) => {
    const dims = anyDims(random);
    const dtype = random.pick(['float32', 'int64', 'int32'] as const);
    const of = (type: OnnxDType) => randomTensor(random, type, broadcasting(random, dims));
    return { inputs: [of('bool'), of(dtype), of(dtype)], opset: random.pick([9, 16]) };
  },
  Transpose: transpose,
  Slice: slice,
  Split: split,
  Concat: concat,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Gather: gather,
  DepthToSpace: blocks(false),
  SpaceToDepth: blocks(true),
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements([11, 13, 16, 18]),
  Scatter: scatterElements([9, 10]),
  ScatterND: scatterND,
  TopK: topK,
  CumSum: cumSum,
  Trilu: trilu,
  OneHot: oneHot,
  EyeLike: eyeLike,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
  Compress: compress,
  NonZero: nonZero,
  RNN: recurrent(1, 1),
  GRU: recurrent(3, 2),
  LSTM: recurrent(4, 3),
  Einsum: einsum,
  Attention: attention,
  RotaryEmbedding: rotary(false),
  'com.microsoft.Attention': packedAttention,
  MultiHeadAttention: multiHeadAttention,
  'com.microsoft.RotaryEmbedding': rotary(true),
  'com.microsoft.Gelu': unary(undefined, { opsets: [17], dtypes: ['float32'] }),
  BiasGelu: biased(false),
  FastGelu: biased(true),
  QuickGelu: unary((random) => someFloat(random, 'alpha'), { opsets: [17], dtypes: ['float32'] }),
  FusedMatMul: fusedMatMul,
  SkipLayerNormalization: skipNorm(true),
  SkipSimplifiedLayerNormalization: skipNorm(false),
  SimplifiedLayerNormalization: layerNorm([17], false),
  EmbedLayerNormalization: embedNorm,
  MatMulNBits: matMulNBits,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Identity: (random) => ({ inputs: [anyType(random, anyDims(random))], opset: 13 }),
  Dropout: (random) => {
    const x = float32(random, anyDims(random));
    const opset = random.pick([10, 12, 13]);
    const ratio = { ...float32s(0.3), dims: [] } as OnnxTensor;
    return { inputs: opset < 12 ? [x] : [x, ratio], outputs: opset < 12 ? 1 : random.integer(1, 2), opset };
  },
  Shape: shape,
  Size: (random) => ({ inputs: [anyType(random, anyDims(random))], opset: 13 }),
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  ReduceSum: reduction(13),
  ReduceMean: reduction(18, ['float32']),
  ReduceMax: reduction(),
  ReduceMin: reduction(),
  ReduceProd: reduction(18, ['float32']),
  ReduceL1: reduction(18, ['float32', 'int32']),
  ReduceL2: reduction(18, ['float32']),
  ReduceSumSquare: reduction(18, ['float32', 'int32']),
  ReduceLogSum: reduction(18, ['float32'], (random, dtype, dims) => positive(random, dims, dtype)),
  ReduceLogSumExp: reduction(18, ['float32']),
  LpNormalization: row([9, 22], (random) => ({ p: random.integer(1, 2) })),
  Hardmax: row([11, 13]),
  MeanVarianceNormalization: meanVariance,
  LRN: localResponse,
  LpPool: lpPool,
  GlobalLpPool: globalLpPool,
  ArgMax: arg,
  ArgMin: arg,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  Softmax: softmax,
  LogSoftmax: softmax,
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool(true),
  AveragePool: pool(false),
  MatMul: matMul,
  Gemm: gemm,
  BatchNormalization: channelNorm(2, true, [7, 9, 14, 15]),
  InstanceNormalization: channelNorm(3, false, [9, 22]),
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm([17], true),
  RMSNormalization: layerNorm([23], false),
  Resize: resize,
  Upsample: upsample,
};
