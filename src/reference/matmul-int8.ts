/** int32 accumulators of an int8 matrix product: a is M x K with a zero point, b is K x N, bias has N entries. */
export function matmulAccumulators(
  a: Int8Array,
  b: Int8Array,
  bias: Int32Array,
  zeroPoint: number,
  [M, K, N]: readonly [number, number, number],
): Int32Array {
  const result = new Int32Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = bias[n];
      for (let k = 0; k < K; k++) sum += (a[m * K + k] - zeroPoint) * b[k * N + n];
      result[m * N + n] = sum;
    }
  }
  return result;
}
