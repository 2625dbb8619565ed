import { describe, test } from 'vitest';
import { f32 } from '../support/onnx-tensors.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(41);
const x = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);

describe('against ONNX Runtime', () => {
  test('MatMul of vectors, matrices and batches that broadcast', async () => {
    const shapes: number[][][] = [
      [[3], [3]],
      [[3], [3, 4]],
      [[2, 3], [3]],
      [[5, 3, 7], [7]],
      [
        [33, 17],
        [17, 65],
      ],
      [
        [64, 64],
        [64, 32],
      ],
      [
        [2, 1, 3, 4],
        [5, 4, 6],
      ],
      [
        [3, 4],
        [2, 3, 4, 5],
      ],
      [
        [2, 3, 1, 40],
        [2, 3, 40, 1],
      ],
      [
        [0, 3],
        [3, 2],
      ],
      [
        [2, 0],
        [0, 3],
      ],
      [
        [0, 2, 3],
        [3, 4],
      ],
    ];
    await expectPeer(
      gpu.runtime,
      shapes.map(([a, b]): PeerCase => ({ operator: 'MatMul', inputs: [x(...a), x(...b)] })),
      1e-5,
    );
    await expectPeer(gpu.runtime, [
      {
        operator: 'MatMul',
        inputs: [randomTensor(random, 'float16', [3, 4]), randomTensor(random, 'float16', [4, 2])],
      },
    ]);
  });

  test('integers', async () => {
    const cases = (['int32', 'int64', 'uint32'] as const).map(
      (dtype): PeerCase => ({
        operator: 'MatMul',
        inputs: [randomTensor(random, dtype, [2, 5, 40]), randomTensor(random, dtype, [40, 3])],
      }),
    );
    await expectPeer(gpu.runtime, cases);
  });

  test('Gemm with either side transposed and every addend', async () => {
    const cases: PeerCase[] = [];
    for (const transA of [0, 1]) {
      for (const transB of [0, 1]) {
        const a = transA ? x(35, 13) : x(13, 35);
        const b = transB ? x(9, 35) : x(35, 9);
        for (const c of [[9], [1], [], [13, 1], [1, 9], [13, 9]])
          cases.push({
            operator: 'Gemm',
            inputs: [a, b, x(...c)],
            attributes: { transA, transB, alpha: 0.5, beta: -2 },
          });
        cases.push({ operator: 'Gemm', inputs: [a, b], attributes: { transA, transB } });
      }
    }
    cases.push({ operator: 'Gemm', inputs: [x(2, 3), x(3, 4), f32(1.5)], options: { opset: 9 } });
    await expectPeer(gpu.runtime, cases, 1e-5);
  });
});
