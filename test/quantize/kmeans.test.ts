import { describe, expect, test } from 'vitest';
import {
  type KmeansInit,
  type KmeansOptions,
  type KmeansResult,
  kmeans,
  kmeansBatch,
  kmeansDequantize,
} from '../../src/quantize/kmeans.ts';
import { initialCentroids, KMEANS_INITS } from '../../src/quantize/kmeans-init.ts';
import { inspectSegment } from '../../src/quantize/kmeans-segments.ts';
import { kmeansLloyd } from '../../src/reference/kmeans-lloyd.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const STARTS = KMEANS_INITS.filter((init) => init !== 'optimal') as Exclude<KmeansInit, 'optimal'>[];

/** The 5 x 5 example of the lab's k-means test. */
const LAB = Float32Array.of(
  ...[
    -0.3747, 0.0874, 0.32, -0.4868, 0.4404, -0.0402, 0.2322, -0.2024, -0.4986, 0.1814, 0.3102, -0.3942,
    -0.203,
  ],
  ...[0.0883, -0.4741, -0.1592, -0.0777, -0.3946, -0.2128, 0.2675, 0.0611, -0.1933, -0.435, 0.2928, -0.1087],
);

/** Every weight at a nearest centroid, every centroid the float32 nearest to its members' mean. */
function expectFixedPoint(weights: Float32Array, { codebook, codes, clusters }: KmeansResult): void {
  for (const [i, weight] of weights.entries()) {
    const own = Math.abs(weight - codebook[codes[i]]);
    for (const centroid of codebook) expect(Math.abs(weight - centroid)).toBeGreaterThanOrEqual(own);
  }
  for (let c = 0; c < clusters; c++) {
    const members = weights.filter((_, i) => codes[i] === c);
    if (members.length === 0) continue;
    const mean = members.reduce((total, x) => total + x, 0) / members.length;
    expect(codebook[c]).toBe(Math.fround(mean));
  }
}

describe('Lloyd', () => {
  const shapes: [string, (count: number) => Float32Array][] = [
    ['tied', (count) => seeded(count).ties(count)],
    ['normal', (count) => seeded(count).floats(count, 0.05)],
  ];
  const cases = shapes.flatMap(([shape, make]) =>
    STARTS.flatMap((init) =>
      [
        [2, 1000],
        [3, 63],
        [5, 64],
        [12, 65],
        [16, 5001],
        [100, 20_000],
        [255, 3000],
        [256, 3000],
      ].map(([clusters, count]) => ({ shape, make, init, clusters, count })),
    ),
  );
  test.each(cases)('$init, $clusters clusters, $count $shape weights: as the twin', async (spec) => {
    const { make, init, clusters, count } = spec;
    const weights = make(count);
    const result = await kmeans(gpu.runtime, weights, { clusters, init, seed: 5, maxIterations: 20 });
    const initial = initialCentroids(inspectSegment(weights, clusters), clusters, init, 5);
    const twin = kmeansLloyd(weights, initial, 20);
    expect(result.codes).toEqual(twin.codes);
    expect(result.codebook).toEqual(twin.codebook);
    expect(result.iterations).toBe(twin.iterations);
    expect(result.codebook).toEqual(result.codebook.slice().sort());
  });

  test('runs, workgroup sizes, chunks and buffers change no bit', async () => {
    const weights = seeded(3).floats(50_003);
    for (const clusters of sampled('numbers of clusters', [13, 40], 2)) {
      const options: KmeansOptions = { clusters, maxIterations: 12 };
      const first = await kmeans(gpu.runtime, weights, options);
      for (const tuning of [
        {},
        { workgroupSize: 32, chunkElements: 128 },
        { workgroupSize: 256, chunkElements: 4096 },
        { slabElements: 8192, chunkElements: 1000 },
        { wide: true },
        { sorted: true },
        { sorted: false },
        { sorted: false, wide: true },
      ] as const) {
        expect(await kmeans(gpu.runtime, weights, { ...options, tuning })).toEqual(first);
      }
    }
  });

  test('at convergence each centroid is the mean of its members, and a second start there stays', async () => {
    for (const init of KMEANS_INITS) {
      const weights = seeded(9).floats(3000, 0.02);
      const result = await kmeans(gpu.runtime, weights, { bits: 3, init, maxIterations: 2000 });
      expect(result.iterations).toBeLessThan(2000);
      expectFixedPoint(weights, result);
    }
  });

  test('more iterations never fit worse, and a tolerance stops sooner', async () => {
    const weights = seeded(4).floats(10_000);
    let before = Number.POSITIVE_INFINITY;
    for (const maxIterations of [1, 2, 5, 17, 40]) {
      const { inertia, iterations } = await kmeans(gpu.runtime, weights, {
        bits: 4,
        init: 'linear',
        maxIterations,
      });
      expect(iterations).toBe(maxIterations);
      expect(inertia).toBeLessThanOrEqual(before);
      before = inertia;
    }
    const loose = await kmeans(gpu.runtime, weights, { bits: 4, init: 'linear', tolerance: 1e-3 });
    const tight = await kmeans(gpu.runtime, weights, { bits: 4, init: 'linear', tolerance: 1e-5 });
    expect(loose.iterations).toBeLessThan(tight.iterations);
    expect(loose.inertia).toBeGreaterThanOrEqual(tight.inertia);
  });

  test('seeds differ, a seed repeats', async () => {
    const weights = seeded(6).floats(4000);
    const run = (seed: number) =>
      kmeans(gpu.runtime, weights, { bits: 4, init: 'random', seed, maxIterations: 1 });
    expect(await run(1)).toEqual(await run(1));
    expect((await run(1)).codebook).not.toEqual((await run(2)).codebook);
  });
});

describe("the lab's example", () => {
  test.each(STARTS)('%s ends at a fixed point of four values', async (init) => {
    const result = await kmeans(gpu.runtime, LAB, { bits: 2, init });
    expect(new Set(result.codes).size).toBe(4);
    expectFixedPoint(LAB, result);
    if (init !== 'random') expect(result.inertia).toBeLessThanOrEqual(0.2295);
  });

  test('optimal finds the best four', async () => {
    const result = await kmeans(gpu.runtime, LAB, { bits: 2, init: 'optimal' });
    expect(result.inertia).toBeCloseTo(0.079222, 6);
    for (const [c, value] of [-0.43686, -0.14966, 0.10455, 0.31052].entries()) {
      expect(result.codebook[c]).toBeCloseTo(value, 5);
    }
  });
});

describe('groups', () => {
  const weights = seeded(11).floats(6 * 10 * 9);
  const shape = [6, 10, 9];
  const same = async (
    values: Float32Array,
    result: KmeansResult,
    group: number,
    codes: ArrayLike<number>,
  ) => {
    const alone = await kmeans(gpu.runtime, values, { bits: 2, init: 'optimal' });
    expect(Array.from(codes)).toEqual([...alone.codes]);
    expect(result.codebook.slice(group * 4, group * 4 + 4)).toEqual(alone.codebook);
  };

  test('perGroup clusters runs of groupSize, the last one shorter', async () => {
    const result = await kmeans(gpu.runtime, weights, {
      bits: 2,
      init: 'optimal',
      granularity: { kind: 'perGroup', groupSize: 37 },
    });
    expect([result.groups, result.groupStride]).toEqual([15, 37]);
    for (let g = 0; g < 15; g++) {
      const own = weights.subarray(g * 37, (g + 1) * 37);
      await same(own, result, g, result.codes.subarray(g * 37, (g + 1) * 37));
    }
  });

  test.each([0, 1, 2, -1])('perAxis %i clusters each slice', async (axis) => {
    const result = await kmeans(gpu.runtime, weights, {
      bits: 2,
      init: 'optimal',
      shape,
      granularity: { kind: 'perAxis', axis },
    });
    const index = (axis + 3) % 3;
    expect(result.groups).toBe(shape[index]);
    const group = (i: number) => Math.floor(i / [90, 9, 1][index]) % shape[index];
    for (let g = 0; g < result.groups; g++) {
      const own = weights.filter((_, i) => group(i) === g);
      await same(
        own,
        result,
        g,
        result.codes.filter((_, i) => group(i) === g),
      );
    }
    const decoded = await kmeansDequantize(gpu.runtime, result);
    expect(decoded).toEqual(
      Float32Array.from(result.codes, (code, i) => result.codebook[group(i) * 4 + code]),
    );
  });

  test.each(KMEANS_INITS)('%s: more codebooks never fit worse than one', async (init) => {
    for (let round = 0; round < 12; round++) {
      const random = seeded(500 + round);
      const scales = Array.from({ length: 8 }, () => 10 ** random.integer(-3, round % 3));
      const own = Float32Array.from({ length: 8 * 48 }, (_, i) =>
        round % 2 ? random.normal() * scales[Math.floor(i / 48)] : random.integer(-9, 9) * 0.25,
      );
      const options = { clusters: random.integer(2, 9), init, seed: round, shape: [8, 48] };
      const limits = round % 4 === 0 ? { maxIterations: random.integer(1, 3) } : {};
      const one = await kmeans(gpu.runtime, own, { ...options, ...limits });
      for (const granularity of [
        { kind: 'perAxis', axis: 0 },
        { kind: 'perAxis', axis: 1 },
        { kind: 'perGroup', groupSize: 50 },
      ] as const) {
        const more = await kmeans(gpu.runtime, own, { ...options, ...limits, granularity });
        expect(more.inertia).toBeLessThanOrEqual(one.inertia * (1 + 1e-12));
      }
    }
  });

  test('a batch gives what each tensor gives alone', async () => {
    const tensors = [1, 5, 4000, 64, 20_001].map((count) => ({ weights: seeded(count).floats(count) }));
    const results = await kmeansBatch(gpu.runtime, tensors, { bits: 3 });
    for (const [index, { weights: own }] of tensors.entries()) {
      expect(results[index]).toEqual(await kmeans(gpu.runtime, own, { bits: 3 }));
    }
    expect(await kmeansBatch(gpu.runtime, [], { bits: 3 })).toEqual([]);
  });

  test('a float16 tensor clusters as its float32 values do', async () => {
    const data = Uint16Array.of(0x3c00, 0xbc00, 0x0001, 0x8000, 0x7bff, 0x3555);
    const values = Float32Array.of(1, -1, 2 ** -24, -0, 65504, 0.333251953125);
    const tensor = { dtype: 'float16', dims: [6], data } as const;
    expect(await kmeans(gpu.runtime, tensor, { bits: 2 })).toEqual(
      await kmeans(gpu.runtime, values, { bits: 2 }),
    );
  });
});

describe('values', () => {
  test.each(KMEANS_INITS)('%s: too few distinct values repeat the last', async (init) => {
    const weights = Float32Array.of(0.5, -1, 0.5, 0.25, -1);
    const result = await kmeans(gpu.runtime, weights, { bits: 3, init });
    expect([...result.codebook]).toEqual([-1, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
    expect([...result.codes]).toEqual([2, 0, 2, 1, 0]);
    expect(result.inertia).toBe(0);
  });

  test.each([
    [[0]],
    [[-0, 0]],
    [[2 ** -149, -(2 ** -149), 0]],
    [[2 ** -149, 2 ** -126, 3 * 2 ** -140]],
    [[3.4028234663852886e38, -3.4028234663852886e38]],
    [[7, 7, 7, 7, 7]],
  ])('%j come back unchanged', async (values) => {
    for (const init of KMEANS_INITS) {
      const weights = Float32Array.from(values);
      const result = await kmeans(gpu.runtime, weights, { bits: 2, init });
      const decoded = await kmeansDequantize(gpu.runtime, result);
      expect([...decoded]).toEqual(values.map((value) => value + 0));
      expect(result.inertia).toBe(0);
    }
  });

  test('a value exactly between two centroids takes the lower code', async () => {
    // -2, -2, 2, 2 and a 0 between: whichever side it joins, the midpoint must not move past it.
    const result = await kmeans(gpu.runtime, Float32Array.of(-2, 0, 2), {
      clusters: 2,
      init: 'linear',
      maxIterations: 1,
    });
    expect([...result.codes]).toEqual([0, 0, 1]);
    expect([...result.codebook]).toEqual([-1, 2]);
  });
});

describe('bad input', () => {
  const weights = seeded(1).floats(100);
  test.each<[string, Float32Array, KmeansOptions, RegExp]>([
    ['NaN', Float32Array.of(1, Number.NaN), { bits: 2 }, /finite; received "NaN at index 1"; .*diverged/],
    ['Infinity', Float32Array.of(Number.POSITIVE_INFINITY), { bits: 2 }, /Infinity at index 0/],
    ['no weights', new Float32Array(0), { bits: 2 }, /at least one element; received 0/],
    ['bits 0', weights, { bits: 0 }, /bits must be an integer from 1 to 8; received 0/],
    ['bits 9', weights, { bits: 9 }, /received 9/],
    ['bits 2.5', weights, { bits: 2.5 }, /received 2.5/],
    ['clusters 1', weights, { clusters: 1 }, /from 2 to 256; received 1/],
    ['clusters 257', weights, { clusters: 257 }, /received 257/],
    ['both', weights, { bits: 2, clusters: 5 }, /2 bits number at most 4 clusters; received 5/],
    ['neither', weights, {}, /needs bits/],
    ['init', weights, { bits: 2, init: 'best' as never }, /init must be one of linear, .*; received "best"/],
    ['seed', weights, { bits: 2, seed: -1 }, /seed/],
    ['maxIterations', weights, { bits: 2, maxIterations: 0 }, /maxIterations must be a positive integer/],
    ['tolerance', weights, { bits: 2, tolerance: Number.NaN }, /tolerance/],
    ['shape', weights, { bits: 2, shape: [3, 3] }, /product is the 100 weights/],
    [
      'axis',
      weights,
      { bits: 2, shape: [10, 10], granularity: { kind: 'perAxis', axis: 2 } },
      /axis must be/,
    ],
    ['no shape', weights, { bits: 2, granularity: { kind: 'perAxis', axis: 0 } }, /perAxis needs the shape/],
    ['groupSize', weights, { bits: 2, granularity: { kind: 'perGroup', groupSize: 0 } }, /groupSize/],
    ['granularity', weights, { bits: 2, granularity: 'perRow' as never }, /granularity must be/],
  ])('%s', async (_, values, options, message) => {
    await expect(kmeans(gpu.runtime, values, options)).rejects.toThrow(message);
    await expect(kmeans(gpu.runtime, values, options)).rejects.toHaveProperty('name', 'LloydError');
  });

  test.each(KMEANS_INITS)(
    '%s: NaN and infinities, by their index, in every group and batch',
    async (init) => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const values = seeded(2).floats(5000);
        values[4321] = bad;
        const rule = new RegExp(`weights.* must be finite; received "${bad} at index 4321"`);
        const batch = [{ weights }, { weights: values }];
        for (const granularity of ['perTensor', { kind: 'perGroup', groupSize: 100 }] as const) {
          await expect(kmeans(gpu.runtime, values, { bits: 2, init, granularity })).rejects.toThrow(rule);
          await expect(kmeansBatch(gpu.runtime, batch, { bits: 2, init, granularity })).rejects.toThrow(rule);
        }
        const half = {
          dtype: 'float16',
          dims: [2],
          data: Uint16Array.of(0x3c00, 0xfc00 + (bad ? 0 : 1)),
        } as const;
        await expect(kmeans(gpu.runtime, half, { bits: 2, init })).rejects.toThrow(/finite.* at index 1/);
      }
    },
  );

  test('a signal stops it with its reason, before and while it works, and what comes after works', async () => {
    const many = seeded(12).floats(300_000);
    for (const init of KMEANS_INITS) {
      const controller = new AbortController();
      const reason = new Error(`enough of ${init}`);
      const options = { bits: 8, init, signal: controller.signal, tuning: { sorted: false } } as const;
      const running = kmeans(gpu.runtime, many, options);
      setTimeout(() => controller.abort(reason), 5);
      await expect(running).rejects.toBe(reason);
      await expect(kmeans(gpu.runtime, weights, options)).rejects.toBe(reason);
    }
    await expect(kmeans(gpu.runtime, weights, { bits: 2, signal: AbortSignal.abort() })).rejects.toThrow(
      expect.objectContaining({ name: 'AbortError' }),
    );
    const signal = new AbortController().signal;
    expect(await kmeans(gpu.runtime, weights, { bits: 2, signal })).toEqual(
      await kmeans(gpu.runtime, weights, { bits: 2 }),
    );
    await expect(kmeans(gpu.runtime, weights, { bits: 2, signal: {} as never })).rejects.toThrow(
      /signal must be an AbortSignal/,
    );
  });

  test('other dtypes, and a codebook that does not fit', async () => {
    const tensor = { dtype: 'int8', dims: [2], data: Int8Array.of(1, 2) } as const;
    await expect(kmeans(gpu.runtime, tensor, { bits: 2 })).rejects.toThrow(/float32 .* or float16/);
    const wrong = { codes: Uint8Array.of(0), codebook: new Float32Array(3), groups: 2 };
    await expect(kmeansDequantize(gpu.runtime, wrong)).rejects.toThrow(/groups x clusters/);
  });
});
