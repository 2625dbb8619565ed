import { expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { kmeansUpdate } from '../../src/kernels/kmeans-update.ts';
import { middleDown, valueOfKey } from '../../src/quantize/kmeans-keys.ts';
import { keyOfBits, limbOfKey, midpointKey } from '../../src/reference/float-keys.ts';
import type { Scale } from '../../src/reference/kmeans-keys.ts';
import { type KmeansState, meanKey, kmeansUpdate as twin } from '../../src/reference/kmeans-update.ts';
import { edgeScale, edgeValues, guardedWords, scaleTable, thresholdsBetween } from '../support/kmeans.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

async function run(
  kernel: typeof kmeansUpdate,
  { state, scales, planes }: Sample,
  clusters: number,
  tolerance: number,
  lanes: number,
): Promise<KmeansState> {
  const { runtime } = gpu;
  return runtime.scope(async (scope) => {
    const compiled = await kernel.create(runtime.device, { WORKGROUP_SIZE: lanes });
    const words = (name: keyof KmeansState) => guardedWords(runtime, state[name]);
    const outputs = {
      totals: words('totals'),
      centroids: words('centroids'),
      thresholds: words('thresholds'),
      done: words('done'),
      iterations: words('iterations'),
      remaining: words('remaining'),
    };
    const buffers = {
      scales: scope.upload(scaleTable(scales)),
      totals: outputs.totals.slice,
      centroids: outputs.centroids.slice,
      thresholds: outputs.thresholds.slice,
      done: outputs.done.slice,
      iterations: outputs.iterations.slice,
      remaining: outputs.remaining.slice,
    };
    const params = { segments: scales.length, clusters, planes, tolerance };
    runtime.submit([scope.keep(compiled.bind(buffers, params))]);
    return {
      totals: await outputs.totals.read(),
      centroids: await outputs.centroids.read(),
      thresholds: await outputs.thresholds.read(),
      done: await outputs.done.read(),
      iterations: await outputs.iterations.read(),
      remaining: await outputs.remaining.read(),
    };
  });
}

interface Sample {
  state: KmeansState;
  scales: Scale[];
  planes: number;
}

/** Exponents of the segments in turn: one plane to all twelve, subnormals alone and beside the largest floats. */
const EXPONENTS: [number, number][] = [
  [127, 127],
  [100, 127],
  [0, 0],
  [0, 3],
  [0, 254],
  [60, 200],
  [230, 254],
];

/** Totals of no members, of a few of all kinds, and of up to 2^31 - 1 equal ones beside one that is not. */
function sample(segments: number, clusters: number, seed: number): Sample {
  const random = seeded(seed);
  const exponents = Array.from({ length: segments }, (_, segment) => EXPONENTS[segment % EXPONENTS.length]);
  const scales = exponents.map(edgeScale);
  const planes = Math.max(...scales.map(([, own]) => own));
  const totals = new Uint32Array(segments * clusters * planes * 3);
  const centroids = new Uint32Array(segments * clusters);
  for (const [segment, [unit, own]] of scales.entries()) {
    const keys = (count: number) =>
      Uint32Array.from(
        new Uint32Array(edgeValues(random.integer(0, 2 ** 31), count, exponents[segment]).buffer),
        keyOfBits,
      );
    centroids.set(keys(clusters).sort(), segment * clusters);
    for (let c = 0; c < clusters; c++) {
      const members = keys(random.pick([0, 1, 2, 2, 2, 3, 4, 7]));
      // A neighbour towards zero: their mean lies halfway between two floats.
      if (members.length === 2 && ((members[0] - 2 ** 31) & 0x7fffff) !== 0)
        members[1] = members[0] - Math.sign(members[0] - 2 ** 31);
      const many = random.pick([1, 1, 2, 1000, 2 ** 31 - 8]);
      for (let plane = 0; plane < own && members.length > 0; plane++) {
        let sum = 0n;
        for (const [i, key] of members.entries())
          sum += BigInt(limbOfKey(key, unit + 24 * plane)) * BigInt(i === 0 ? many : 1);
        const count = members.length - 1 + many;
        const at = ((segment * clusters + c) * planes + plane) * 3;
        totals.set([count, Number(sum & 0xffffffffn), Number(sum >> 32n)], at);
      }
    }
  }
  const done = Uint32Array.from({ length: segments }, (_, segment) => (segment % 8 === 7 ? 1 : 0));
  const state = {
    totals,
    centroids,
    thresholds: thresholdsBetween(centroids, clusters),
    done,
    iterations: Uint32Array.from({ length: segments }, (_, segment) => segment),
    remaining: Uint32Array.of(done.filter((flag) => flag === 0).length),
  };
  return { state, scales, planes };
}

function expected({ state, scales, planes }: Sample, clusters: number, tolerance: number): KmeansState {
  const copy = structuredClone(state);
  return twin(copy, scales, planes, clusters, tolerance);
}

test.each([
  [2, 32, 60],
  [5, 32, 40],
  [16, 64, 30],
  [31, 32, 9],
  [33, 32, 9],
  [255, 256, 8],
  [256, 64, 8],
])('equals its twin: %i clusters, %i lanes, %i segments', async (clusters, lanes, segments) => {
  for (const tolerance of [0, 2 ** 20, 2 ** 25]) {
    const input = sample(segments, clusters, clusters + lanes);
    expect(await run(kmeansUpdate, input, clusters, tolerance, lanes)).toEqual(
      expected(input, clusters, tolerance),
    );
  }
});

test('more segments than one row of workgroups holds', async () => {
  const input = sample(7, 2, 3);
  const segments = 66_000;
  const repeat = (words: Uint32Array) =>
    Uint32Array.from({ length: (words.length / 7) * segments }, (_, i) => words[i % words.length]);
  const { totals, centroids, thresholds, done, iterations } = input.state;
  const state = {
    totals: repeat(totals),
    centroids: repeat(centroids),
    thresholds: repeat(thresholds),
    done: repeat(done),
    iterations: repeat(iterations),
    remaining: Uint32Array.of(segments),
  };
  const scales = Array.from({ length: segments }, (_, segment) => input.scales[segment % 7]);
  const wide = { state, scales, planes: input.planes };
  const once = expected(input, 2, 0);
  const actual = await run(kmeansUpdate, wide, 2, 0, 32);
  expect(actual.centroids).toEqual(repeat(once.centroids));
  expect(actual.thresholds).toEqual(repeat(once.thresholds));
});

test('means round to nearest, ties to even, and middles down: the twin by float64, and the host by the twin', () => {
  const totalsOf = (keys: number[]) =>
    Uint32Array.of(
      keys.length,
      keys.reduce((sum, key) => sum + limbOfKey(key, 127), 0),
      0,
    );
  const next = (ulps: number) => 2 ** 31 + 127 * 2 ** 23 + ulps;
  const mean = (...ulps: number[]) => meanKey(totalsOf(ulps.map(next)), 127, 1) - next(0);
  expect([mean(0, 1), mean(1, 2), mean(2, 3), mean(0, 0, 1), mean(0, 1, 1)]).toEqual([0, 2, 2, 0, 1]);
  const bits = new Uint32Array(edgeValues(5, 4000, [0, 254]).buffer);
  const close = new Uint32Array(edgeValues(6, 4000, [126, 128]).buffer);
  for (const words of [bits, close]) {
    for (let i = 0; i + 1 < words.length; i += 2) {
      const [a, b] = [keyOfBits(words[i]), keyOfBits(words[i + 1])].sort((x, y) => x - y);
      const middle = midpointKey(a, b);
      expect(middleDown(valueOfKey(a), valueOfKey(b))).toBe(valueOfKey(middle));
      expect(middle >= a && middle <= b).toBe(true);
    }
  }
});

test.each([
  ['ties go up', '(significand & 1u) == 1u', 'true'],
  ['what follows is not looked at', '|| below != 0u', ''],
  ['no carry between planes', 'carry = i32(', 'carry = 0 * i32('],
  ['subnormals keep more bits than they have', 'position > lowest', 'position > lowest - 1'],
])('a wrong variant is caught: %s', async (name, right, wrong) => {
  const { declaration } = kmeansUpdate;
  const source = declaration.wgsl[1].replace(right, wrong);
  expect(source).not.toBe(declaration.wgsl[1]);
  const wgsl = [declaration.wgsl[0], source];
  const broken = defineKernel({ ...declaration, name: `kmeans-update ${name}`, wgsl });
  const input = sample(56, 16, 11);
  expect(await run(broken, input, 16, 0, 64)).not.toEqual(expected(input, 16, 0));
});
