import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/matmul.wgsl, in float64, or in 32-bit integers.
 *
 * @example
 * matmulReference({ a, b, c: a, pairs: Float64Array.of(0, 0), output }, params, { HAS_ADDEND: 0 });
 */
export function matmulReference(
  { a, b, c, pairs, output }: TwinBuffers,
  params: TwinParams,
  { HAS_ADDEND = 0, Element = 'f32' }: TwinSpecialization,
): void {
  const wrapped =
    Element === 'u32' ? (x: number) => x >>> 0 : Element === 'i32' ? (x: number) => x | 0 : null;
  const times = wrapped
    ? (x: number, y: number) => wrapped(Math.imul(x, y))
    : (x: number, y: number) => x * y;
  const rounded = wrapped ?? ((x: number) => x);
  const { batches, M, N, K, alpha, beta } = params;
  for (let batch = 0; batch < batches; batch++) {
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const left = a[pairs[batch * 2] + m * params.aRowStride + k * params.aColumnStride];
          const right = b[pairs[batch * 2 + 1] + k * params.bRowStride + n * params.bColumnStride];
          sum = rounded(sum + times(left, right));
        }
        const addend =
          HAS_ADDEND === 1 ? times(beta, c[m * params.cRowStride + n * params.cColumnStride]) : 0;
        output[(batch * M + m) * N + n] = rounded(times(alpha, sum) + addend);
      }
    }
  }
}
