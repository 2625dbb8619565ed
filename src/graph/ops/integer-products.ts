import { prepareMultipliers, type RequantizeRule } from '../../quantize/requantize.ts';
import { type ChannelWeights, checkRequantized } from './accumulator.ts';
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

/** Products of matrices of codes. */
export const integerProductOperators = {
  MatMulInteger: { since: 10, plan: matMulInteger },
  QLinearMatMul: { since: 10, plan: qlinearMatMul },
  MatMulIntegerToFloat: { since: 1, domain: 'com.microsoft', plan: matMulIntegerToFloat },
  DynamicQuantizeMatMul: { since: 1, domain: 'com.microsoft', plan: dynamicQuantizeMatMul },
} satisfies Readonly<Record<string, Operator>>;
