import { describe, expect, test } from 'vitest';
import { matmulInteger } from '../../src/kernels/matmul-integer.ts';
import { prepareMultipliers, requantizeConstant } from '../../src/quantize/requantize.ts';
import { matmulIntegerReference } from '../../src/reference/matmul-integer.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, testUnlessSlow, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** int8 by int8, a zero point a row and a column, and a multiplier a column. */
async function multiply(M: number, N: number, K: number, pairs: [number, number][], workgroup = 64) {
  const random = seeded(M * 1000 + N * 10 + K);
  const [p, q] = [0, 1].map((side) => 1 + Math.max(...pairs.map((pair) => pair[side])));
  const [a, b] = [random.int8s(p * M * K), random.int8s(q * K * N)];
  const [aZeros, bZeros] = [random.int8s(M), random.int8s(N)];
  const scales = Float32Array.from({ length: N }, () => 2 ** -random.integer(8, 12));
  const count = pairs.length * M * N;
  const params = {
    ...{ count, M, N, K, aFlip: 128, bFlip: 128 },
    ...{ aZeroMatrixStride: 0, aZeroRowStride: 1, bZeroMatrixStride: 0, bZeroColumnStride: 1 },
    ...{ multiplierMatrixStride: 0, multiplierRowStride: 0, multiplierColumnStride: 1 },
    ...{ zeroPoint: 3, low: -128, high: 127 },
  };
  const inputs = {
    ...{ a, b, pairs: Uint32Array.from(pairs.flat()) },
    aZeros: Int32Array.from(aZeros, (zero) => zero + 128),
    bZeros: Int32Array.from(bZeros, (zero) => zero + 128),
    multipliers: prepareMultipliers('ort-f32', 1, scales, 1),
  };
  const sums = await dispatch(gpu.runtime, matmulInteger, inputs, { output: count * 4 }, params, {
    OUTPUT: '0u',
    WORKGROUP_SIZE: workgroup,
  });
  const codes = await dispatch(gpu.runtime, matmulInteger, inputs, { output: count }, params, {
    OUTPUT: '1u',
    REQUANTIZE: await requantizeConstant(gpu.runtime, 'ort-f32'),
    WORKGROUP_SIZE: workgroup,
  });
  const shape = { M, N, K, pairs };
  const expected = matmulIntegerReference(
    a,
    b,
    (_, row) => aZeros[row],
    (_, column) => bZeros[column],
    shape,
  );
  const settings = { inputScale: 1, outputScale: 1, zeroPoint: 3, low: -128, high: 127 };
  return [
    firstDifference(new Int32Array(sums.output), expected),
    firstDifference(
      new Int8Array(codes.output),
      Array.from(expected, (sum, i) =>
        requantizeReference('ort-f32', sum, { ...settings, weightScale: scales[i % N] }),
      ),
    ),
  ];
}

describe('matmul-integer', () => {
  for (const [M, N, K] of [
    [1, 1, 1],
    [1, 3, 5],
    [1, 64, 7],
    [1, 65, 33],
    [5, 51, 4],
    [16, 16, 100],
    [1, 257, 3],
  ]) {
    test(`matmul-integer(M=${M},N=${N},K=${K})`, async () => {
      expect(await multiply(M, N, K, [[0, 0]])).toEqual([-1, -1]);
      expect(
        await multiply(
          M,
          N,
          K,
          [
            [0, 1],
            [1, 1],
            [0, 0],
          ],
          256,
        ),
      ).toEqual([-1, -1]);
    });
  }

  testUnlessSlow('a dispatch wider than 65,535 workgroups is folded', async () => {
    expect(await multiply(1500, 1500, 1, [[0, 0]], 32)).toEqual([-1, -1]);
  });
});
