// Products of matrices: https://onnx.ai/onnx/operators/.
import type { Definition } from './call.ts';
import { broadcastAt, broadcastDims, make, stored, times, type Value } from './value.ts';

/** numpy.matmul: vectors become matrices, leading dimensions broadcast. */
const matMul: Definition = (call) => {
  const [a, b] = [call.input(0), call.input(1)];
  const left: Value = a.dims.length === 1 ? { ...a, dims: [1, ...a.dims] } : a;
  const right: Value = b.dims.length === 1 ? { ...b, dims: [...b.dims, 1] } : b;
  const [rows, length] = left.dims.slice(-2);
  const columns = right.dims.at(-1)!;
  const batch = broadcastDims([left.dims.slice(0, -2), right.dims.slice(0, -2)]);
  const full = make(a.dtype, [...batch, rows, columns], (at) => {
    const [outer, row, column] = [at.slice(0, -2), at.at(-2)!, at.at(-1)!];
    let sum = 0;
    for (let k = 0; k < length; k++) {
      const [x, y] = [broadcastMatrix(left, outer, row, k), broadcastMatrix(right, outer, k, column)];
      sum = stored(a.dtype, sum + times(a.dtype, x, y));
    }
    return sum;
  });
  const dims = [...batch, ...(a.dims.length > 1 ? [rows] : []), ...(b.dims.length > 1 ? [columns] : [])];
  return [{ ...full, dims }];
};

/** An element of one of the matrices: only what is before its last two dimensions is broadcast. */
function broadcastMatrix(
  { dims, data }: Value,
  outer: readonly number[],
  row: number,
  column: number,
): number {
  const own = dims.slice(0, -2);
  const at = outer.slice(outer.length - own.length);
  const matrix = own.reduce((place, size, i) => place * size + (size === 1 ? 0 : at[i]), 0);
  return data[(matrix * dims.at(-2)! + row) * dims.at(-1)! + column];
}

/** alpha * A' * B' + beta * C. */
const gemm: Definition = (call) => {
  const [a, b, c] = [call.input(0), call.input(1), call.optional(2)];
  const [transA, transB] = [call.integer('transA', 0) === 1, call.integer('transB', 0) === 1];
  const [alpha, beta] = [call.float('alpha', 1), call.float('beta', 1)];
  const [rows, length] = transA ? [a.dims[1], a.dims[0]] : a.dims;
  const columns = transB ? b.dims[0] : b.dims[1];
  return [
    make(a.dtype, [rows, columns], ([row, column]) => {
      let sum = 0;
      for (let k = 0; k < length; k++) {
        const x = a.data[transA ? k * rows + row : row * length + k];
        const y = b.data[transB ? column * length + k : k * columns + column];
        sum = stored(a.dtype, sum + times(a.dtype, x, y));
      }
      const addend = c ? broadcastAt(c, [row, column]) : 0;
      return times(a.dtype, alpha, sum) + times(a.dtype, beta, addend);
    }),
  ];
};

export const products: Readonly<Record<string, Definition>> = { MatMul: matMul, Gemm: gemm };
