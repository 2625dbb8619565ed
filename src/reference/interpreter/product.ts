// Products of matrices: https://onnx.ai/onnx/operators/.
import type { Definition } from './call.ts';
import {
  broadcastAt,
  broadcastDims,
  coordinatesOf,
  make,
  sizeOf,
  stored,
  times,
  type Value,
} from './value.ts';

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

/** By its definition: the product of all operands at every assignment of sizes to letters, summed. */
const einsum: Definition = (call) => {
  const operands = call.given(0);
  const [left, right] = call.text('equation', '').replaceAll(' ', '').split('->');
  const terms = left.split(',');
  const hidden = terms.map((term, i) =>
    term.includes('...') ? operands[i].dims.length - term.length + 3 : 0,
  );
  const most = Math.max(...hidden);
  // What an ellipsis stands for are digits, the last one 0.
  const dots = (count: number) => Array.from({ length: count }, (_, i) => count - 1 - i).join('');
  const spelt = terms.map((term, i) => [...term.replace('...', dots(hidden[i]))]);
  const letters = spelt.flat().filter((letter) => !/[0-9]/.test(letter));
  const once = letters.filter((letter) => letters.filter((other) => other === letter).length === 1).sort();
  const result = right === undefined ? [...dots(most), ...once] : [...right.replace('...', dots(most))];
  const all = [...new Set([...result, ...spelt.flat()])];
  const sizes = all.map((letter) =>
    Math.max(...spelt.flatMap((own, i) => operands[i].dims.filter((_, axis) => own[axis] === letter))),
  );
  const sums = all.map((letter) => !result.includes(letter));
  return [
    make(
      operands[0].dtype,
      sizes.filter((_, i) => !sums[i]),
      (at) => {
        const inner = sizes.map((size, i) => (sums[i] ? size : 1));
        let total = 0;
        for (let place = 0; place < sizeOf(inner); place++) {
          const summed = coordinatesOf(place, inner);
          const where = (letter: string) =>
            result.includes(letter) ? at[result.indexOf(letter)] : summed[all.indexOf(letter)];
          total += operands.reduce((product, own, i) => product * broadcastAt(own, spelt[i].map(where)), 1);
        }
        return total;
      },
    ),
  ];
};

export const products: Readonly<Record<string, Definition>> = { MatMul: matMul, Gemm: gemm, Einsum: einsum };
