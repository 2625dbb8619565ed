import { matmul } from '../../kernels/matmul.ts';
import { broadcastDims, broadcastStrides, stridesOf } from './layout.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, isFloat, type OnnxDType, type Value, wordTypeOf } from './value.ts';

const TYPES: readonly OnnxDType[] = [...FLOATS, 'int32', 'int64', 'uint32'];

/** A batch of products of M x K by K x N. */
export interface Product {
  dtype: OnnxDType;
  M: number;
  N: number;
  K: number;
  /** Strides over rows and columns. */
  aStrides: readonly number[];
  bStrides: readonly number[];
  addendStrides?: readonly number[];
  /** Per product: where its matrices begin in a and in b. */
  pairs: readonly (readonly number[])[];
  alpha?: number;
  beta?: number;
}

/** One dispatch of a batch of products. */
export function product(
  { a, b, addend, output }: { a: Operand; b: Operand; addend?: Operand; output: Operand },
  { dtype, M, N, K, aStrides, bStrides, addendStrides = [0, 0], pairs, alpha = 1, beta = 1 }: Product,
): Step {
  return step(
    matmul,
    { HAS_ADDEND: Number(!!addend), Element: wordTypeOf(dtype) },
    { a, b, c: addend ?? a, pairs: { constant: Uint32Array.from([...pairs.flat(), 0, 0]) }, output },
    {
      ...{ batches: pairs.length, M, N, K, alpha, beta },
      ...{ aRowStride: aStrides[0], aColumnStride: aStrides[1] },
      ...{ bRowStride: bStrides[0], bColumnStride: bStrides[1] },
      ...{ cRowStride: addendStrides[0], cColumnStride: addendStrides[1] },
    },
  );
}

/** Shapes of numpy.matmul: vectors become matrices, leading dimensions are broadcast. */
export interface MatrixShape {
  M: number;
  N: number;
  K: number;
  /** Dims of a and b as batches of matrices. */
  left: readonly number[];
  right: readonly number[];
  /** Leading dims of the output, and all of them. */
  batch: readonly number[];
  dims: number[];
  /** Per matrix of the output: that of a and that of b. */
  matrices: (readonly [number, number])[];
}

/** The shapes of a product of `a` by `b`, checked; the names are those of messages. */
export function matrixShape(
  node: Node,
  a: Value,
  b: Value,
  [A, B]: readonly [string, string] = ['A', 'B'],
): MatrixShape {
  node.ensure(a.dims.length > 0, `${A} must have rank 1 or more`, a.dims);
  node.ensure(b.dims.length > 0, `${B} must have rank 1 or more`, b.dims);
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
  const [M, K] = left.slice(-2);
  const [rows, N] = right.slice(-2);
  node.ensure(K === rows, `${B} must have as many rows as ${A} has columns, ${K}`, rows);
  const batches = [left.slice(0, -2), right.slice(0, -2)];
  const batch = broadcastDims(`${node.operator}: the batch dimensions`, batches);
  const dims = [...batch, ...(a.dims.length > 1 ? [M] : []), ...(b.dims.length > 1 ? [N] : [])];
  node.bounded(batch);
  const strides = batches.map((own) => broadcastStrides(own, batch));
  const matrices = Array.from({ length: sizeOf(batch) }, (_, index) => {
    const coordinates = stridesOf(batch).map((stride, d) => Math.floor(index / stride) % batch[d]);
    const [p, q] = strides.map((own) => coordinates.reduce((sum, c, d) => sum + c * own[d], 0));
    return [p, q] as const;
  });
  return { M, N, K, left, right, batch, dims, matrices };
}

/** The dispatch of a product of such shapes. */
export function matrixProduct(
  dtype: OnnxDType,
  { M, N, K, matrices }: MatrixShape,
  operands: { a: Operand; b: Operand; output: Operand },
): Step {
  const pairs = matrices.map(([p, q]) => [p * M * K, q * K * N]);
  return product(operands, { dtype, M, N, K, aStrides: [K, 1], bStrides: [N, 1], pairs });
}

/** numpy.matmul. */
function matMul(spec: NodeSpec): Plan {
  const node = openNode(spec, ['A', 'B']);
  const a = node.required('A', TYPES);
  const b = node.required('B', [a.dtype]);
  const shape = matrixShape(node, a, b);
  const made = matrixProduct(a.dtype, shape, { a: { input: 0 }, b: { input: 1 }, output: { output: 0 } });
  return { outputs: [{ dtype: a.dtype, dims: shape.dims }], steps: [made] };
}

/** alpha * A' * B' + beta * C, where C broadcasts to the product. */
function gemm(spec: NodeSpec): Plan {
  const node = openNode(spec, ['A', 'B', 'C'], ['alpha', 'beta', 'transA', 'transB']);
  const a = node.required('A', TYPES);
  const b = node.required('B', [a.dtype]);
  const c = spec.opset < 11 ? node.required('C', [a.dtype]) : node.optional('C', [a.dtype]);
  node.ensure(a.dims.length === 2, 'A must be a matrix', a.dims);
  node.ensure(b.dims.length === 2, 'B must be a matrix', b.dims);
  const [transA, transB] = [node.flag('transA', false), node.flag('transB', false)];
  const [M, K] = transA ? [a.dims[1], a.dims[0]] : a.dims;
  const [rows, N] = transB ? [b.dims[1], b.dims[0]] : b.dims;
  node.ensure(K === rows, `B must have as many rows as A has columns, ${K}`, rows);
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  node.ensure(
    isFloat(a.dtype) || (Number.isInteger(alpha) && Number.isInteger(beta)),
    'alpha and beta must be whole for integers',
    [alpha, beta],
  );
  const dims = [M, N];
  let addendStrides: number[] | undefined;
  if (c) {
    const fits =
      c.dims.length <= 2 && c.dims.every((size, i) => [1, dims[2 - c.dims.length + i]].includes(size));
    node.ensure(fits, `C must broadcast to the product, [${dims}]`, c.dims);
    addendStrides = broadcastStrides(c.dims, dims);
  }
  const made = product(
    { a: { input: 0 }, b: { input: 1 }, ...(c && { addend: { input: 2 } }), output: { output: 0 } },
    {
      ...{ dtype: a.dtype, M, N, K, addendStrides },
      aStrides: transA ? [1, M] : [K, 1],
      bStrides: transB ? [1, K] : [N, 1],
      pairs: [[0, 0]],
      alpha,
      beta,
    },
  );
  return { outputs: [{ dtype: a.dtype, dims }], steps: [made] };
}

/** Products of matrices. */
export const productOperators = {
  MatMul: { since: 1, plan: matMul },
  Gemm: { since: 7, plan: gemm },
} satisfies Readonly<Record<string, Operator>>;
