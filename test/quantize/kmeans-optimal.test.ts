import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { float16ToFloat32 } from '../../src/io/index.ts';
import { readModelFile } from '../../src/model/file.ts';
import type { Model } from '../../src/model/graph.ts';
import { kmeans } from '../../src/quantize/kmeans.ts';
import { type Bins, optimalRuns, runMeans, windowedRuns } from '../../src/quantize/kmeans-dp.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** The least squared error of sorted values in k runs, by the plain O(k n^2) recurrence. */
function bruteForce(values: readonly number[], k: number): number {
  const n = values.length;
  const cost = (from: number, to: number) => {
    const run = values.slice(from, to);
    const mean = run.reduce((a, b) => a + b, 0) / run.length;
    return run.reduce((total, x) => total + (x - mean) ** 2, 0);
  };
  const costs = values.map((_, from) => values.map((__, last) => (last < from ? 0 : cost(from, last + 1))));
  let best = Array.from({ length: n + 1 }, (_, end) => (end === 0 ? 0 : costs[0][end - 1]));
  for (let row = 1; row < k; row++) {
    const before = best;
    best = before.map((error, end) => {
      let least = error;
      for (let begin = 1; begin < end; begin++)
        least = Math.min(least, before[begin] + costs[begin][end - 1]);
      return least;
    });
  }
  return best[n];
}

const optimalMeans = (bins: Bins, clusters: number) => runMeans(bins, optimalRuns(bins, clusters));

/** The squared error of the nearest of `means`. */
function errorOf(values: ArrayLike<number>, means: ArrayLike<number>): number {
  let error = 0;
  for (let i = 0; i < values.length; i++) {
    let least = Number.POSITIVE_INFINITY;
    for (let c = 0; c < means.length; c++) least = Math.min(least, (values[i] - means[c]) ** 2);
    error += least;
  }
  return error;
}

/** The exact optimum over all distinct values, in float64. */
function exact(weights: Float32Array, k: number): number {
  const counts = new Map<number, number>();
  for (const value of weights.slice().sort()) counts.set(value, (counts.get(value) ?? 0) + 1);
  const scale = 2 ** 20;
  const bins = {
    counts: Float64Array.from(counts.values()),
    sums: Float64Array.from(counts, ([value, count]) => value * count * scale),
  };
  const means = optimalMeans(bins, k);
  let error = 0;
  for (const [value, count] of counts) {
    error +=
      count *
      errorOf(
        [value],
        means.map((mean) => mean / scale),
      );
  }
  return error;
}

test('the dynamic programme equals brute force', () => {
  for (let round = 0; round < 60; round++) {
    const random = seeded(round);
    const size = random.integer(1, 40);
    const values = Array.from({ length: size }, () => random.integer(0, round % 2 ? 30 : 1000)).sort(
      (a, b) => a - b,
    );
    const k = random.integer(1, 9);
    const means = optimalMeans(
      { counts: new Float64Array(size).fill(1), sums: Float64Array.from(values) },
      k,
    );
    expect(means.length).toBe(Math.min(k, size));
    expect(errorOf(values, means)).toBeCloseTo(bruteForce(values, k), 6);
  }
});

test('windows that hold everything give the optimum, narrow ones the best within', () => {
  const random = seeded(2);
  const bins = {
    counts: new Float64Array(50).fill(1),
    sums: Float64Array.from({ length: 50 }, () => random.integer(0, 999)).sort(),
  };
  const windows = Array.from({ length: 6 }, () => [1, 49] as const);
  expect(windowedRuns(bins, windows)).toEqual(optimalRuns(bins, 7));
  expect([
    ...windowedRuns(bins, [
      [10, 10],
      [30, 30],
    ]),
  ]).toEqual([0, 10, 30]);
});

describe('optimal', () => {
  const half = (x: number) => Math.round(x * 2 ** 11) / 2 ** 11;
  const outliers = (count: number) => {
    const random = seeded(count);
    const scale = (i: number) => (i % 5000 === 0 ? 30 : i % 500 === 0 ? 1 : 0.01);
    return Float32Array.from({ length: count }, (_, i) => random.normal() * scale(i));
  };
  const cases = [
    { name: 'few weights', weights: seeded(1).floats(4000, 0.1) },
    { name: 'float16-like weights', weights: seeded(2).floats(60_000, 0.1).map(half) },
    {
      name: 'fewer bits than float32',
      weights: seeded(8)
        .floats(60_000, 0.1)
        .map((x) => Math.round(x * 2 ** 14) / 2 ** 14),
    },
    { name: 'float32 weights', weights: seeded(3).floats(60_000, 0.1) },
    { name: 'tied weights', weights: seeded(4).ties(60_000) },
    {
      name: 'pruned weights',
      weights: seeded(5)
        .floats(60_000)
        .map((x) => (Math.abs(x) < 1.5 ? 0 : x)),
    },
    { name: 'outliers over four decades', weights: outliers(60_000) },
    {
      name: 'all positive',
      weights: seeded(6)
        .floats(30_000)
        .map((x) => x * x + 100),
    },
  ];
  test.each(sampled('distributions', cases, 8).map(({ name }) => name))(
    '%s: close to the exact optimum and never above Lloyd',
    async (name) => {
      const { weights } = cases.find((one) => one.name === name)!;
      for (const clusters of [2, 5, 16, 64]) {
        const result = await kmeans(gpu.runtime, weights, { clusters, init: 'optimal' });
        const floor =
          1e-9 * weights.length * weights.reduce((most, x) => Math.max(most, Math.abs(x)), 0) ** 2 * 2 ** -24;
        expect(result.inertia).toBeLessThanOrEqual(exact(weights, clusters) * 1.001 + floor);
        for (const init of ['linear', 'quantile', 'random', 'kmeans++'] as const) {
          const { inertia } = await kmeans(gpu.runtime, weights, { clusters, init, maxIterations: 60 });
          expect(result.inertia).toBeLessThanOrEqual(inertia * (1 + 1e-9) + floor);
        }
      }
    },
  );

  const path = new URL('../../weights/vgg-cifar10.safetensors', import.meta.url);
  const layers = [...(readModelFile(readFileSync(path)) as Model).parameters].filter(
    ([, { dims }]) => dims.length > 1,
  );
  const choices = layers.flatMap(([name, { data }]) =>
    [2, 4, 6].map((bits) => ({ name, bits, weights: float16ToFloat32(data as Uint16Array) })),
  );
  test('on the layers of the VGG: within 0.1 % of the exact optimum and never above Lloyd', async () => {
    expect(layers.length).toBe(9);
    for (const { name, bits, weights } of sampled('layers of the VGG', choices, 4)) {
      const { inertia } = await kmeans(gpu.runtime, weights, { bits, init: 'optimal' });
      const least = exact(weights, 2 ** bits);
      expect(inertia, `${name}, ${bits} bits`).toBeLessThanOrEqual(least * 1.001);
      expect(inertia, `${name}, ${bits} bits`).toBeGreaterThanOrEqual(least * (1 - 1e-6));
      for (const init of ['linear', 'quantile', 'kmeans++'] as const) {
        const lloyd = await kmeans(gpu.runtime, weights, { bits, init, maxIterations: 60 });
        expect(inertia, `${name}, ${bits} bits, ${init}`).toBeLessThanOrEqual(lloyd.inertia);
      }
    }
  });

  test('needs no seed: every run and every layout give the same bits', async () => {
    const weights = seeded(7).floats(40_000);
    const first = await kmeans(gpu.runtime, weights, { bits: 4, init: 'optimal', seed: 1 });
    const tuning = { workgroupSize: 32, chunkElements: 1024, slabElements: 8192 } as const;
    expect(await kmeans(gpu.runtime, weights, { bits: 4, init: 'optimal', seed: 2, tuning })).toEqual(first);
  });
});
