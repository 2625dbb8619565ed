/** The int32 accumulators of ONNX MatMulInteger by its definition, one pair of matrices after the other. */

export interface MatmulShape {
  M: number;
  N: number;
  K: number;
  /** For every output matrix, which matrix of a and which of b it multiplies. */
  pairs: readonly (readonly [number, number])[];
}

/** `aZero(matrix, row)` and `bZero(matrix, column)` give the zero points. */
export function matmulIntegerReference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  aZero: (matrix: number, row: number) => number,
  bZero: (matrix: number, column: number) => number,
  { M, N, K, pairs }: MatmulShape,
): Int32Array {
  const accumulators = new Int32Array(pairs.length * M * N);
  let index = 0;
  for (const [p, q] of pairs)
    for (let row = 0; row < M; row++)
      for (let column = 0; column < N; column++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const left = a[(p * M + row) * K + k] - aZero(p, row);
          const right = b[(q * K + k) * N + column] - bZero(q, column);
          sum = (sum + left * right) | 0;
        }
        accumulators[index++] = sum;
      }
  return accumulators;
}
