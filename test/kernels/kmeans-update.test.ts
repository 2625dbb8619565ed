import { expect, test } from 'vitest';
import { kmeansUpdate } from '../../src/kernels/kmeans-update.ts';
import { type KmeansState, roundedMean, kmeansUpdate as twin } from '../../src/reference/kmeans-update.ts';
import { guardedWords, tiedCentroids } from '../support/kmeans.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function run(
  state: KmeansState,
  clusters: number,
  tolerance: number,
  lanes: number,
): Promise<KmeansState> {
  const { runtime } = gpu;
  const segments = state.done.length;
  return runtime.scope(async (scope) => {
    const kernel = await kmeansUpdate.create(runtime.device, { WORKGROUP_SIZE: lanes });
    const [totals, centroids, done, iterations, remaining] = [
      state.totals,
      state.centroids,
      state.done,
      state.iterations,
      state.remaining,
    ].map((words) => guardedWords(runtime, words));
    const buffers = {
      totals: totals.slice,
      centroids: centroids.slice,
      done: done.slice,
      iterations: iterations.slice,
      remaining: remaining.slice,
    };
    runtime.submit([scope.keep(kernel.bind(buffers, { segments, clusters, tolerance }))]);
    return {
      totals: await totals.read(),
      centroids: await centroids.read(),
      done: await done.read(),
      iterations: await iterations.read(),
      remaining: await remaining.read(),
    };
  });
}

/** Totals from nothing to 2^32 - 1 members, many of them with means exactly between two integers. */
function sample(segments: number, clusters: number, seed: number): KmeansState {
  const random = seeded(seed);
  const totals = new Uint32Array(segments * clusters * 3);
  for (let at = 0; at < totals.length; at += 3) {
    const count = random.pick([0, 1, 2, 3, 4, 1000, 2 ** 22, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1]);
    const mean = random.integer(1, 2 ** 25 - 2);
    const rest = random.pick([0n, BigInt(count) / 2n, BigInt(count) / 2n + 1n]);
    const sum = count === 0 ? 0n : BigInt(count) * BigInt(mean) + (rest < BigInt(count) ? rest : 0n);
    totals.set([count, Number(sum & 0xffffffffn), Number(sum >> 32n)], at);
  }
  const done = Uint32Array.from({ length: segments }, (_, segment) => (segment % 3 === 1 ? 1 : 0));
  return {
    totals,
    centroids: tiedCentroids(segments, clusters, seed),
    done,
    iterations: Uint32Array.from({ length: segments }, (_, segment) => segment),
    remaining: Uint32Array.of(done.filter((flag) => flag === 0).length),
  };
}

const copy = (state: KmeansState): KmeansState => ({
  totals: state.totals.slice(),
  centroids: state.centroids.slice(),
  done: state.done.slice(),
  iterations: state.iterations.slice(),
  remaining: state.remaining.slice(),
});

test.each([
  [2, 32, 1],
  [5, 32, 4],
  [16, 64, 9],
  [31, 32, 3],
  [33, 32, 3],
  [255, 256, 5],
  [256, 64, 5],
])('equals its twin: %i clusters, %i lanes, %i segments', async (clusters, lanes, segments) => {
  for (const tolerance of [0, 2 ** 24, 2 ** 25]) {
    const state = sample(segments, clusters, clusters + lanes);
    const expected = twin(copy(state), segments, clusters, tolerance);
    expect(await run(state, clusters, tolerance, lanes)).toEqual(expected);
  }
});

test('more segments than one row of workgroups holds', async () => {
  const state = sample(66_000, 2, 3);
  const expected = twin(copy(state), 66_000, 2, 0);
  expect(await run(state, 2, 0, 32)).toEqual(expected);
});

test('means round to nearest, ties to even', () => {
  expect([5, 6, 7, 13, 14, 15].map((sum) => roundedMean(2, sum, 0))).toEqual([2, 3, 4, 6, 7, 8]);
  expect(roundedMean(3, 10, 0)).toBe(3);
  expect(roundedMean(3, 11, 0)).toBe(4);
});
