import { matmulInt8 } from '../../src/conv/conv-int8.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { matmulAccumulators } from '../../src/reference/matmul-int8.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, Opened, Size } from '../types.ts';
import { hold } from './held.ts';
import { layerCase } from './layer.ts';
import { timedCalls } from './timed.ts';

type Shape = readonly [M: number, N: number, K: number];

const SHAPES: Record<Size, readonly Shape[]> = {
  tiny: [[17, 36, 68]],
  quick: [[256, 256, 512]],
  standard: [
    [1024, 1024, 1024],
    [1, 4096, 4096],
  ],
  gpu: [
    [4096, 4096, 4096],
    [1, 4096, 4096],
  ],
};

/** Matrix products: int8 into int32, and float32 beside it. */
export function matmulCases(size: Size): BenchCase[] {
  return SHAPES[size].flatMap(([M, N, K]) => [
    {
      name: `matmul-int8(M=${M},N=${N},K=${K})`,
      subjects: [
        {
          implementation: 'lloyd',
          precision: 'int8',
          batch: M,
          open: (context) => openInt8(context, [M, N, K]),
        },
      ],
    },
    layerCase({ kind: 'linear', name: `matmul(M=${M},N=${N},K=${K})`, N: M, H: 1, C: K, O: N, K: 1 }, [
      'fp32',
    ]),
  ]);
}

async function openInt8({ runtime }: BenchContext, [M, N, K]: Shape): Promise<Opened> {
  const random = seeded(M + N + K);
  const a: Tensor = { dtype: 'int8', dims: [M, K], data: random.int8s(M * K) };
  const b: Tensor = { dtype: 'int8', dims: [K, N], data: random.int8s(K * N) };
  // A convolution kernel on some adapters: the product is then one of 1x1.
  const held = await hold(runtime, /int8/, (own) => matmulInt8(own, a, b));
  const { stop, ...timed } = await timedCalls(runtime, held.calls);
  const operations = 2 * M * N * K;
  return {
    ...timed,
    work: { amount: operations, unit: 'GOP/s' },
    bound: { ceiling: 'int8Gops', amount: operations },
    output: async () => (await held.release()).data,
    expected: () =>
      matmulAccumulators(a.data as Int8Array, b.data as Int8Array, new Int32Array(N), 0, [M, K, N]),
    async close() {
      stop();
      await held.release();
    },
  };
}
