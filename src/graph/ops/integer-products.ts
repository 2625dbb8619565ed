import { prepareMultipliers, type RequantizeRule } from '../../conv/requantize.ts';
import { type ChannelWeights, checkRequantized } from './accumulator.ts';
import { copyBox } from './copy-step.ts';
import { broadcastDims } from './layout.ts';
import { dynamicallyQuantized } from './linear.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import type { Operand, Plan, Step } from './plan.ts';
import { type Operated, pointwise } from './pointwise-step.ts';
import { type MatrixShape, matrixProduct, matrixShape } from './product.ts';
import {
  BYTES,
  centred,
  checkScalar,
  checkScales,
  isScalar,
  knownScales,
  knownZero,
  requantized,
  type ZeroPoints,
} from './qparams.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, numbersOf, type OnnxDType, type Value } from './value.ts';

const OUTPUT = { output: 0 } as const;

/** Which side of a product a scale or zero point belongs to. */
type Side = 'a' | 'b';

/**
 * How the scales or zero points of one side lie: one, one a row of a or column of b, or that for every matrix, with the
 * dims [..., M, 1] or [..., 1, N].
 */
interface Spread {
  /** Elements from one matrix to the next, and from one row or column to the next; 0 where it is the same. */
  matrix: number;
  element: number;
  /** Dims that broadcast to the side's matrices. */
  dims: readonly number[];
}

function spreadOf(node: Node, name: string, value: Value | null, shape: MatrixShape, side: Side): Spread {
  if (!value || isScalar(value)) return { matrix: 0, element: 0, dims: [] };
  const [batch, rows, columns] =
    side === 'a' ? [shape.left.slice(0, -2), shape.M, 1] : [shape.right.slice(0, -2), 1, shape.N];
  const size = rows * columns; // one of the two is 1
  if (value.dims.length === 1 && value.dims[0] === size) {
    return { matrix: 0, element: 1, dims: [rows, columns] };
  }
  const full = [...batch, rows, columns];
  node.ensure(
    value.dims.length === full.length && value.dims.every((own, i) => own === full[i]),
    `${name} must be a scalar, have ${size} elements, or have the dims [${full}]`,
    value.dims,
  );
  return { matrix: size, element: 1, dims: full };
}

/** Codes of one side of a product, where they and their zero points lie. */
interface Factor {
  at: Operand;
  zeros: ZeroPoints | null;
}

/** The steps that sum products of codes less their zero points. */
function summed(shape: MatrixShape, a: Factor, b: Factor, output: Operand): Step[] {
  const left = centred({ name: 'a', at: a.at, dims: shape.left }, a.zeros);
  const right = centred({ name: 'b', at: b.at, dims: shape.right }, b.zeros);
  const sums = matrixProduct('int32', shape, { a: left.value.at, b: right.value.at, output });
  return [...left.steps, ...right.steps, sums];
}

/** Zero points that are an input of the node. */
function zerosOf(node: Node, name: string, value: Value | null, { dims }: Spread): ZeroPoints | null {
  return value && { value, at: { input: node.index(name) }, dims };
}

function matMulInteger(spec: NodeSpec): Plan {
  const node = openNode(spec, ['A', 'B', 'a_zero_point', 'b_zero_point']);
  const a = node.required('A', BYTES);
  const b = node.required('B', BYTES);
  const zeros = { a: node.optional('a_zero_point', [a.dtype]), b: node.optional('b_zero_point', [b.dtype]) };
  const shape = matrixShape(node, a, b, ['a', 'b']);
  const factor = (side: Side, index: number) => {
    const name = `${side}_zero_point`;
    const spread = spreadOf(node, name, zeros[side], shape, side);
    return { at: { input: index }, zeros: zerosOf(node, name, zeros[side], spread) };
  };
  return {
    outputs: [{ dtype: 'int32', dims: shape.dims }],
    steps: summed(shape, factor('a', 0), factor('b', 1), OUTPUT),
  };
}

function qlinearMatMul(spec: NodeSpec): Plan {
  const names = ['a', 'a_scale', 'a_zero_point', 'b', 'b_scale', 'b_zero_point', 'y_scale', 'y_zero_point'];
  const node = openNode(spec, names);
  const a = node.required('a', BYTES);
  const b = node.required('b', BYTES);
  const aScale = node.required('a_scale', FLOATS);
  const [bScale, yScale] = ['b_scale', 'y_scale'].map((name) => node.required(name, [aScale.dtype]));
  const aZero = node.required('a_zero_point', [a.dtype]);
  const bZero = node.required('b_zero_point', [b.dtype]);
  const yZero = node.required('y_zero_point', BYTES);
  const shape = matrixShape(node, a, b, ['a', 'b']);
  const scales = (name: string, value: Value, side: Side): Scales => ({
    values: knownScales(node, name, value),
    spread: spreadOf(node, name, value, shape, side),
  });
  const [aScales, bScales] = [scales('a_scale', aScale, 'a'), scales('b_scale', bScale, 'b')];
  const aSpread = spreadOf(node, 'a_zero_point', aZero, shape, 'a');
  const bSpread = spreadOf(node, 'b_zero_point', bZero, shape, 'b');
  checkScalar(node, 'y_scale', yScale);
  const y = knownScales(node, 'y_scale', yScale)[0];
  const zeroPoint = knownZero(node, 'y_zero_point', yZero);
  const rule = spec.requantize ?? 'ort-f32';
  node.bounded(shape.dims);
  const table = multiplierTable(rule, shape, aScales, bScales, y);
  checkRequantized(node, { codes: a, zeros: aZero }, shape.K, null, () =>
    b.data && bZero.data ? columnsOf(b, shape, numbersOf(bZero)) : null,
  );
  const count = sizeOf(shape.dims);
  const sums = { scratch: 'sums', count };
  return {
    outputs: [{ dtype: yZero.dtype, dims: shape.dims }],
    steps: [
      ...summed(
        shape,
        { at: { input: node.index('a') }, zeros: zerosOf(node, 'a_zero_point', aZero, aSpread) },
        { at: { input: node.index('b') }, zeros: zerosOf(node, 'b_zero_point', bZero, bSpread) },
        sums,
      ),
      requantized(sums, count, { rule, dtype: yZero.dtype, zeroPoint, ...table }),
    ],
  };
}

/** Every matrix of b transposed, as weights by output column. */
function* columnsOf(b: Value, { K, N }: MatrixShape, zeros: readonly number[]): Iterable<ChannelWeights> {
  const data = b.data as Int8Array;
  for (let matrix = 0; matrix < data.length / (K * N); matrix++) {
    const columns = new Int32Array(K * N);
    for (let i = 0; i < K * N; i++) columns[(i % N) * K + Math.floor(i / N)] = data[matrix * K * N + i];
    const first = zeros.length > N ? matrix * N : 0;
    yield { data: columns, channels: N, zeroPoints: zeros.slice(first, first + Math.min(N, zeros.length)) };
  }
}

interface Scales {
  values: Float32Array;
  spread: Spread;
}

/** The multipliers of a product's elements: one, one a column, one a row, or, where they vary by more, one an element. */
function multiplierTable(
  rule: RequantizeRule,
  { M, N, matrices }: MatrixShape,
  a: Scales,
  b: Scales,
  y: number,
): { multipliers: Uint32Array; stride: number } {
  const [rows, columns] = [a.spread.element ? M : 1, b.spread.element ? N : 1];
  const line = (matrix: number, row: number) => {
    const [p, q] = matrices[matrix] ?? [0, 0];
    const first = q * b.spread.matrix;
    const scale = a.values[p * a.spread.matrix + row];
    return prepareMultipliers(rule, scale, b.values.subarray(first, first + columns), y);
  };
  if (sizeOf([matrices.length, M, N]) === 0) return { multipliers: new Uint32Array(2), stride: 1 };
  const apart = a.spread.matrix > 0 || b.spread.matrix > 0;
  if (!apart && rows === 1) return { multipliers: line(0, 0), stride: 1 };
  if (!apart && columns === 1) {
    const multipliers = new Uint32Array(M * 2);
    for (let row = 0; row < M; row++) multipliers.set(line(0, row), row * 2);
    return { multipliers, stride: N };
  }
  const multipliers = new Uint32Array((apart ? matrices.length : 1) * M * N * 2);
  for (let at = 0; at < multipliers.length; at += N * 2) {
    const row = at / (N * 2);
    const own = line(Math.floor(row / M), rows === 1 ? 0 : row % M);
    for (let i = 0; i < N * 2; i += own.length) multipliers.set(own, at + i);
  }
  return { multipliers, stride: 1 };
}

/** The steps that take sums to floats: times both scales, plus a bias of one a column. */
function scaled(
  { batch, M, N }: MatrixShape,
  sums: Operand,
  dtype: OnnxDType,
  scales: readonly [Operated, Operated],
  bias: Operated | null,
): Step[] {
  const dims = [...batch, M, N];
  const factorDims = broadcastDims('scales', [scales[0].dims, scales[1].dims]);
  const room = (scratch: string, own: readonly number[]): Operated => ({
    at: { scratch, count: sizeOf(own) },
    dims: own,
  });
  const [factor, values, products] = [
    room('factor', factorDims),
    room('values', dims),
    bias ? room('products', dims) : { at: OUTPUT, dims },
  ];
  return [
    pointwise('toFloat', 'int32', [{ at: sums, dims }], dims, values.at),
    pointwise('mul', dtype, scales, factorDims, factor.at),
    pointwise('mul', dtype, [values, factor], dims, products.at),
    ...(bias ? [pointwise('add', dtype, [products, bias], dims, OUTPUT)] : []),
  ];
}

/** An optional bias of one a column. */
function biasOf(node: Node, dtype: OnnxDType, { N }: MatrixShape): Operated | null {
  const bias = node.optional('bias', [dtype]);
  node.ensure(
    !bias || (bias.dims.length === 1 && bias.dims[0] === N),
    `bias must have one element for each of the ${N} columns`,
    bias?.dims,
  );
  return bias && { at: { input: node.index('bias') }, dims: bias.dims };
}

/** One side's scales and zero points, which the network may compute. */
function quantizedSide(node: Node, shape: MatrixShape, side: Side, scale: Value, zero: Value | null) {
  const [scaleName, zeroName] = [`${side}_scale`, `${side}_zero_point`];
  checkScales(node, scaleName, scale);
  const { dims } = spreadOf(node, scaleName, scale, shape, side);
  return {
    scale: { at: { input: node.index(scaleName) }, dims },
    zeros: zerosOf(node, zeroName, zero, spreadOf(node, zeroName, zero, shape, side)),
  };
}

function matMulIntegerToFloat(spec: NodeSpec): Plan {
  const names = ['A', 'B', 'a_scale', 'b_scale', 'a_zero_point', 'b_zero_point', 'bias'];
  const node = openNode(spec, names);
  const a = node.required('A', BYTES);
  const b = node.required('B', BYTES);
  const aScale = node.required('a_scale', FLOATS);
  const bScale = node.required('b_scale', [aScale.dtype]);
  const shape = matrixShape(node, a, b, ['a', 'b']);
  const left = quantizedSide(node, shape, 'a', aScale, node.optional('a_zero_point', [a.dtype]));
  const right = quantizedSide(node, shape, 'b', bScale, node.optional('b_zero_point', [b.dtype]));
  const bias = biasOf(node, aScale.dtype, shape);
  const sums = { scratch: 'sums', count: sizeOf(shape.dims) };
  return {
    outputs: [{ dtype: aScale.dtype, dims: shape.dims }],
    steps: [
      ...summed(
        shape,
        { at: { input: 0 }, zeros: left.zeros },
        { at: { input: 1 }, zeros: right.zeros },
        sums,
      ),
      ...scaled(shape, sums, aScale.dtype, [left.scale, right.scale], bias),
    ],
  };
}

function dynamicQuantizeMatMul(spec: NodeSpec): Plan {
  const node = openNode(spec, ['A', 'B', 'b_scale', 'b_zero_point', 'bias']);
  const a = node.required('A', ['float32']);
  const b = node.required('B', BYTES);
  const bScale = node.required('b_scale', ['float32']);
  const shape = matrixShape(node, a, b, ['a', 'b']);
  const right = quantizedSide(node, shape, 'b', bScale, node.optional('b_zero_point', [b.dtype]));
  const bias = biasOf(node, 'float32', shape);
  const count = sizeOf(a.dims);
  const codes = { scratch: 'codes', count };
  const scale = { scratch: 'a scale', count: 1 };
  const zeroPoint = { scratch: 'a zero point', count: 1 };
  const sums = { scratch: 'sums', count: sizeOf(shape.dims) };
  const zeros = { value: { dtype: 'uint8', dims: [] }, at: zeroPoint } as const;
  return {
    outputs: [{ dtype: 'float32', dims: shape.dims }],
    steps: [
      ...dynamicallyQuantized({ input: 0 }, count, { codes, scale, zeroPoint }),
      ...summed(shape, { at: codes, zeros }, { at: { input: 1 }, zeros: right.zeros }, sums),
      ...scaled(shape, sums, 'float32', [{ at: scale, dims: [] }, right.scale], bias),
    ],
  };
}

/** A Gemm of codes: int32 sums with an int32 bias, as codes of the output, or as floats where that has no scale. */
function qgemm(spec: NodeSpec): Plan {
  const names = [
    'A',
    'a_scale',
    'a_zero_point',
    'B',
    'b_scale',
    'b_zero_point',
    'C',
    'y_scale',
    'y_zero_point',
  ];
  const node = openNode(spec, names, ['alpha', 'transA', 'transB']);
  const a = node.required('A', BYTES);
  const given = node.required('B', BYTES);
  const aScale = node.required('a_scale', ['float32']);
  const bScale = node.required('b_scale', ['float32']);
  const aZero = node.optional('a_zero_point', [a.dtype]);
  const bZero = node.optional('b_zero_point', [given.dtype]);
  const c = node.optional('C', ['int32']);
  const yScale = node.optional('y_scale', ['float32']);
  const yZero = node.optional('y_zero_point', BYTES);
  for (const value of [a, given])
    node.ensure(value.dims.length === 2, 'A and B must be matrices', value.dims);
  node.ensure(!node.flag('transA', false), 'transA must be 0', 1);
  node.ensure(node.float('alpha', 1) === 1, 'alpha must be 1', node.float('alpha', 1));
  checkScalar(node, 'a_scale', aScale);
  checkScalar(node, 'a_zero_point', aZero);
  const transposed = node.flag('transB', false);
  const [rows, columns] = given.dims;
  const b: Value = transposed ? { dtype: given.dtype, dims: [columns, rows] } : given;
  const turned = { scratch: 'B transposed', count: sizeOf(b.dims) };
  const at: Operand = transposed ? turned : { input: node.index('B') };
  const turn = transposed
    ? [copyBox(b.dtype, { input: node.index('B') }, turned, { dims: b.dims, inputStrides: [1, columns] })]
    : [];
  const shape = matrixShape(node, a, b, ['A', 'B']);
  node.ensure(
    !c || (c.dims.length === 1 && c.dims[0] === shape.N),
    `C must have one element for each of the ${shape.N} columns`,
    c?.dims,
  );
  const bSpread = spreadOf(node, 'b_scale', bScale, shape, 'b');
  const left = {
    at: { input: 0 },
    zeros: zerosOf(node, 'a_zero_point', aZero, { matrix: 0, element: 0, dims: [] }),
  };
  const right = {
    at,
    zeros: zerosOf(node, 'b_zero_point', bZero, spreadOf(node, 'b_zero_point', bZero, shape, 'b')),
  };
  const count = sizeOf(shape.dims);
  const sums = { scratch: 'sums', count };
  const all: Operand = c ? { scratch: 'sums with C', count } : sums;
  const summing = [
    ...turn,
    ...summed(shape, left, right, sums),
    ...(c
      ? [
          pointwise(
            'add',
            'int32',
            [
              { at: sums, dims: shape.dims },
              { at: { input: node.index('C') }, dims: c.dims },
            ],
            shape.dims,
            all,
          ),
        ]
      : []),
  ];
  if (!yScale) {
    const scales: [Operated, Operated] = [
      { at: { input: node.index('a_scale') }, dims: [] },
      { at: { input: node.index('b_scale') }, dims: bSpread.dims },
    ];
    checkScales(node, 'a_scale', aScale);
    checkScales(node, 'b_scale', bScale);
    return {
      outputs: [{ dtype: 'float32', dims: shape.dims }],
      steps: [...summing, ...scaled(shape, all, 'float32', scales, null)],
    };
  }
  checkScalar(node, 'y_scale', yScale);
  checkRequantized(node, { codes: a, zeros: aZero }, shape.K, c, () => null);
  const rule = spec.requantize ?? 'ort-f32';
  const multipliers = prepareMultipliers(
    rule,
    knownScales(node, 'a_scale', aScale)[0],
    knownScales(node, 'b_scale', bScale),
    knownScales(node, 'y_scale', yScale)[0],
  );
  const dtype = yZero?.dtype ?? a.dtype;
  const zeroPoint = knownZero(node, 'y_zero_point', yZero);
  return {
    outputs: [{ dtype, dims: shape.dims }],
    steps: [...summing, requantized(all, count, { rule, dtype, zeroPoint, multipliers })],
  };
}

/** Products of matrices of codes. */
export const integerProductOperators = {
  MatMulInteger: { since: 10, plan: matMulInteger },
  QLinearMatMul: { since: 10, plan: qlinearMatMul },
  MatMulIntegerToFloat: { since: 1, domain: 'com.microsoft', plan: matMulIntegerToFloat },
  DynamicQuantizeMatMul: { since: 1, domain: 'com.microsoft', plan: dynamicQuantizeMatMul },
  QGemm: { since: 1, domain: 'com.microsoft', plan: qgemm },
} satisfies Readonly<Record<string, Operator>>;
