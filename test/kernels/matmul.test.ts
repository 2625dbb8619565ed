import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/graph/ops/plan.ts';
import { randomTensor, stepApart } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

function apart(dims: number[][], attributes: Record<string, number> = {}, wrong?: (step: Step) => Step) {
  const random = seeded(dims.flat().reduce((a, b) => a * 3 + b, 0));
  const inputs = dims.map((own) => randomTensor(random, 'float32', own, 1));
  const operator = inputs.length > 2 || 'transB' in attributes ? 'Gemm' : 'MatMul';
  return stepApart(gpu.runtime, { operator, inputs, attributes }, 1e-5, wrong);
}

describe('matmul', () => {
  test('sizes around a tile and a slab', async () => {
    for (const [M, N, K] of [
      [1, 1, 1],
      [31, 33, 15],
      [32, 32, 16],
      [33, 31, 17],
      [2, 65, 40],
      [65, 1, 3],
      [3, 4, 0],
    ]) {
      expect(
        await apart([
          [M, K],
          [K, N],
        ]),
        `${M} ${N} ${K}`,
      ).toBe(null);
    }
  });

  test('batches that broadcast, sides transposed, an addend of any shape', async () => {
    expect(
      await apart([
        [3, 1, 5, 4],
        [2, 4, 6],
      ]),
    ).toBe(null);
    for (const addend of [[], [7], [5, 1], [5, 7]]) {
      expect(await apart([[9, 5], [7, 9], addend], { transA: 1, transB: 1, alpha: 0.5, beta: 2 })).toBe(null);
    }
  });

  test('integers wrap', async () => {
    const random = seeded(8);
    const big = (...dims: number[]) => ({
      dtype: 'int32' as const,
      dims,
      data: Int32Array.from({ length: dims[0] * dims[1] }, () => random.integer(-(2 ** 31), 2 ** 31 - 1)),
    });
    const spec = {
      operator: 'Gemm',
      inputs: [big(5, 17), big(17, 6), big(1, 6)],
      attributes: { alpha: 3, beta: -2 },
    };
    expect(await stepApart(gpu.runtime, spec)).toBe(null);
  });

  test('known-wrong products are told apart', async () => {
    const other = (change: Record<string, number>) => (step: Step) => ({
      ...step,
      params: { ...step.params, ...change },
    });
    expect(
      await apart(
        [
          [9, 5],
          [5, 7],
        ],
        {},
        other({ bRowStride: 5 }),
      ),
    ).not.toBe(null);
    expect(await apart([[9, 5], [5, 7], [7]], { beta: 2 }, other({ beta: 1 }))).not.toBe(null);
    expect(
      await apart(
        [
          [9, 5],
          [5, 7],
        ],
        {},
        other({ K: 4 }),
      ),
    ).not.toBe(null);
  });
});
