import { describe, expect, test, vi } from 'vitest';
import { matmulInt8 } from '../../src/conv/conv-int8.ts';
import type { Int8Options } from '../../src/conv/prepare-int8.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { matmulAccumulators } from '../../src/reference/matmul-int8.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { firstDifference } from '../support/dispatch.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const sizes = [1, 3, 4, 5, 31, 32, 33, 130];
const shapes = sizes.flatMap((M) => sizes.flatMap((K) => [1, 4, 7, 9, 64].map((N) => [M, K, N] as const)));

describe('matmul-int8', () => {
  /** Through one kernel, M x K times K x N with a bias and a zero point. */
  async function ragged(runtime: Runtime, options: Int8Options, sample: typeof shapes) {
    for (const [M, K, N] of sample) {
      const r = seeded(M * 1e6 + K * 1e3 + N);
      const a = r.int8s(M * K);
      const b = r.int8s(K * N);
      const bias = Int32Array.from({ length: N }, () => r.integer(-(2 ** 20), 2 ** 20));
      const zeroPoint = r.integer(-128, 127);
      const output = await matmulInt8(
        runtime,
        { dtype: 'int8', dims: [M, K], data: a },
        { dtype: 'int8', dims: [K, N], data: b },
        { ...options, bias, inputZeroPoint: zeroPoint },
      );
      const want = matmulAccumulators(a, b, bias, zeroPoint, [M, K, N]);
      expect(firstDifference(output.data, want), `${M}x${K}x${N}`).toBe(-1);
    }
  }

  test('accumulators equal the twin on ragged shapes', async () => {
    await ragged(context.runtime, {}, sampled('matmul-int8 shapes', shapes, 40));
  });

  // An adapter with subgroups takes other kernels for most shapes.
  test("this kernel's accumulators equal the twin", async () => {
    const { runtime } = context;
    const adapter = { ...runtime.adapter, software: null, subgroupSize: 0 };
    const bound = vi.spyOn(runtime.device, 'createBindGroup');
    await ragged({ ...runtime, adapter }, { kernels: 'registers' }, [
      ...sampled('shapes of its own', shapes, 16),
      // Enough of them for the widest tile.
      [1030, 37, 130],
    ]);
    expect(new Set(bound.mock.calls.map(([{ label }]) => label))).toEqual(new Set(['matmul-int8']));
    bound.mockRestore();
  });

  test('requantizes per column with ties and an odd zero point', async () => {
    const [M, K, N] = [37, 48, 11];
    const r = seeded(5);
    const a = r.int8s(M * K);
    const b = r.int8s(K * N);
    const weightScale = Float32Array.from({ length: N }, (_, i) => 2 ** -(i % 3));
    const options = { inputScale: 0.5, weightScale, outputScale: 128, outputZeroPoint: -7 };
    const { data } = await matmulInt8(
      context.runtime,
      { dtype: 'int8', dims: [M, K], data: a },
      { dtype: 'int8', dims: [K, N], data: b },
      options,
    );
    const accumulators = matmulAccumulators(a, b, new Int32Array(N), 0, [M, K, N]);
    const settings = { inputScale: 0.5, outputScale: 128, zeroPoint: -7, low: -128, high: 127 };
    const want = Int8Array.from(accumulators, (acc, i) =>
      requantizeReference('ort-f32', acc, { ...settings, weightScale: weightScale[i % N] }),
    );
    expect(data).toEqual(want);
    const zeroPointFirst = Int8Array.from(accumulators, (acc, i) =>
      requantizeReference('onnx-ref', acc, { ...settings, weightScale: weightScale[i % N] }),
    );
    expect(data).not.toEqual(zeroPointFirst);
  });

  test('refuses shapes that do not match', async () => {
    const a = { dtype: 'int8', dims: [2, 3], data: new Int8Array(6) } as const;
    await expect(matmulInt8(context.runtime, a, a)).rejects.toThrow(/3 columns/);
  });
});
