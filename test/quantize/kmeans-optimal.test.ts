import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { float16ToFloat32 } from '../../src/io/index.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { type KmeansOptions, kmeans, kmeansDequantize } from '../../src/quantize/kmeans.ts';
import { optimalRuns, runCosts } from '../../src/quantize/kmeans-dp.ts';
import { KMEANS_INITS } from '../../src/quantize/kmeans-init.ts';
import { createPause } from '../../src/quantize/pause.ts';
import { readModelFile } from '../../src/run/file.ts';
import { atMost, exactError, exactOptimum, isOptimal } from '../support/optimum.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** The least squared error of k centroids over sorted distinct values, in float64, by divide and conquer: another way. */
function leastError(weights: Float32Array, k: number): number {
  const counts = new Map<number, number>();
  for (const value of weights.slice().sort()) counts.set(value, (counts.get(value) ?? 0) + 1);
  const size = counts.size;
  const center = weights.reduce((a, b) => a + b, 0) / weights.length;
  const [w, s, q] = [0, 1, 2].map(() => new Float64Array(size + 1));
  for (const [i, [value, count]] of [...counts].entries()) {
    w[i + 1] = w[i] + count;
    s[i + 1] = s[i] + count * (value - center);
    q[i + 1] = q[i] + count * (value - center) ** 2;
  }
  const cost = (from: number, to: number) => q[to] - q[from] - (s[to] - s[from]) ** 2 / (w[to] - w[from]);
  let best = Float64Array.from({ length: size + 1 }, (_, end) => (end === 0 ? 0 : cost(0, end)));
  for (let row = 1; row < Math.min(k, size); row++) {
    const next = new Float64Array(size + 1).fill(Number.POSITIVE_INFINITY);
    const fill = (low: number, high: number, from: number, to: number): void => {
      if (low > high) return;
      const end = (low + high) >>> 1;
      let where = Math.max(from, row);
      for (let begin = where; begin <= Math.min(to, end - 1); begin++) {
        const value = best[begin] + cost(begin, end);
        if (value < next[end]) [next[end], where] = [value, begin];
      }
      fill(low, end - 1, from, where);
      fill(end + 1, high, where, to);
    };
    fill(row + 1, size, row, size - 1);
    best = next;
  }
  return best[size];
}

/** Kinds of small tensors: ties, outliers of every size, offsets, scales side by side, the ends of float32. */
const KINDS: [string, (random: ReturnType<typeof seeded>, i: number) => number][] = [
  ['a few integers, many ties', (random) => random.integer(-6, 6)],
  ['bands of equal distance', (random, i) => (i % 8) * 4 + random.integer(0, 3) / 16],
  ['an outlier 1e3 times the spread', (random, i) => (i === 7 ? 1e3 : random.normal())],
  ['an outlier 1e7 times the spread', (random, i) => (i === 7 ? -1e7 : random.normal())],
  ['outliers to 1e38', (random, i) => (i % 9 === 0 ? random.normal() * 10 ** (i % 38) : random.normal())],
  [
    'the largest floats beside small ones',
    (random, i) => [3.4028234663852886e38, -3.4028234663852886e38, random.normal()][i % 3],
  ],
  ['subnormals', (random) => random.integer(-99, 99) * 2 ** -149],
  [
    'subnormals beside normal numbers',
    (random, i) => (i % 2 ? random.integer(-9, 9) * 2 ** -149 : random.normal() * 1e-30),
  ],
  ['an offset of 1e6', (random) => 1e6 + random.normal()],
  ['an offset of -1e30', (random) => -1e30 * (1 + random.integer(0, 40) * 2 ** -23)],
  ['every scale', (random) => random.normal() * 2 ** random.integer(-140, 120)],
  ['all positive scales', (random) => Math.abs(random.normal()) * 10 ** random.integer(-20, 20)],
];

describe.each(KINDS)('%s: as the recurrence in integers', (_, value) => {
  test('the runs', async () => {
    for (let round = 0; round < 12; round++) {
      const random = seeded(100 + round);
      const size = random.integer(2, 48);
      const values = Float32Array.from({ length: size }, (__, i) => value(random, i)).sort();
      const distinct = values.filter((x, i) => i === 0 || x !== values[i - 1]);
      const counts = Float64Array.from(distinct, (x) => values.filter((y) => y === x).length);
      const clusters = random.integer(1, 12);
      const costs = runCosts({ values: distinct, counts });
      const begins = await optimalRuns(costs, clusters, createPause());
      expect(begins.length).toBe(Math.min(clusters, distinct.length));
      const means = Float32Array.from(begins, (begin, run) =>
        costs.mean(begin, begins[run + 1] ?? costs.size),
      );
      const meanings = values.map((x) => means[begins.findLastIndex((begin) => distinct[begin] <= x)]);
      const least = exactOptimum(values, clusters);
      expect(isOptimal(exactError(values, meanings), least, meanings, 10n ** 12n)).toBe(true);
    }
  });

  test('kmeans, by every path', async () => {
    for (let round = 0; round < 3; round++) {
      const random = seeded(200 + round);
      const weights = Float32Array.from({ length: 60 }, (__, i) => value(random, i));
      const clusters = [2, 5, 13][round];
      const least = exactOptimum(weights, clusters);
      for (const sorted of [true, false]) {
        const options = { clusters, init: 'optimal', tuning: { sorted } } as const;
        const { codebook, codes } = await kmeans(gpu.runtime, weights, options);
        const meanings = Float32Array.from(codes, (code) => codebook[code]);
        expect(isOptimal(exactError(weights, meanings), least, meanings, 10n ** 12n)).toBe(true);
      }
    }
  });

  test('as many clusters as distinct values lose nothing, from every start', async () => {
    const random = seeded(300);
    const weights = Float32Array.from({ length: 40 }, (__, i) => value(random, i));
    const clusters = Math.max(2, new Set(weights).size);
    for (const init of KMEANS_INITS) {
      const { codebook, codes } = await kmeans(gpu.runtime, weights, { clusters, init });
      expect(Float32Array.from(codes, (code) => codebook[code])).toEqual(weights.map((x) => x + 0));
    }
  });

  test('never above Lloyd from any start, and a codebook a group never above one for all', async () => {
    const random = seeded(400);
    const weights = Float32Array.from({ length: 96 }, (__, i) => value(random, i));
    const error = async (options: KmeansOptions) => {
      const result = await kmeans(gpu.runtime, weights, options);
      return exactError(weights, await kmeansDequantize(gpu.runtime, result));
    };
    const optimum = await error({ clusters: 5, init: 'optimal' });
    for (const init of KMEANS_INITS) expect(atMost(optimum, await error({ clusters: 5, init }))).toBe(true);
    let before = optimum;
    for (const groupSize of [48, 24, 12, 6]) {
      const granularity = { kind: 'perGroup', groupSize } as const;
      const own = await error({ clusters: 5, init: 'optimal', granularity });
      expect(atMost(own, before)).toBe(true);
      before = own;
    }
  });
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
    '%s: the optimum, and never above Lloyd',
    async (name) => {
      const { weights } = cases.find((one) => one.name === name)!;
      // Centroids are float32 numbers, up to half their spacing away from the means.
      const spacing = weights.reduce((most, x) => Math.max(most, Math.abs(x)), 0) * 2 ** -23;
      const rounding = (weights.length * spacing ** 2) / 4;
      for (const clusters of [2, 5, 16, 64]) {
        const result = await kmeans(gpu.runtime, weights, { clusters, init: 'optimal' });
        expect(result.inertia).toBeLessThanOrEqual(leastError(weights, clusters) * (1 + 1e-9) + rounding);
        for (const init of ['linear', 'quantile', 'random', 'kmeans++'] as const) {
          const { inertia } = await kmeans(gpu.runtime, weights, { clusters, init, maxIterations: 60 });
          expect(result.inertia).toBeLessThanOrEqual(inertia);
        }
      }
    },
  );

  const path = new URL('../../weights/vgg-cifar10.safetensors', import.meta.url);
  const layers = [...(readModelFile(readFileSync(path)) as ImageModel).parameters].filter(
    ([, { dims }]) => dims.length > 1,
  );
  const choices = layers.flatMap(([name, { data }]) =>
    [2, 4, 6].map((bits) => ({ name, bits, weights: float16ToFloat32(data as Uint16Array) })),
  );
  test('on the layers of the VGG: the optimum, and never above Lloyd', async () => {
    expect(layers.length).toBe(9);
    for (const { name, bits, weights } of sampled('layers of the VGG', choices, 4)) {
      const { inertia } = await kmeans(gpu.runtime, weights, { bits, init: 'optimal' });
      const least = leastError(weights, 2 ** bits);
      expect(inertia, `${name}, ${bits} bits`).toBeLessThanOrEqual(least * (1 + 1e-9));
      expect(inertia, `${name}, ${bits} bits`).toBeGreaterThanOrEqual(least * (1 - 1e-9));
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
