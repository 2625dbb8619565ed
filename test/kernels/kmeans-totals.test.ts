import { expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { kmeansTotals } from '../../src/kernels/kmeans-totals.ts';
import { limbOfKey } from '../../src/reference/float-keys.ts';
import { kmeansAccumulate } from '../../src/reference/kmeans-accumulate.ts';
import type { Scale } from '../../src/reference/kmeans-keys.ts';
import { BLOCK, kmeansTotals as twin } from '../../src/reference/kmeans-totals.ts';
import {
  guardedWords,
  layChunks,
  ONE_PLANE,
  scaleTable,
  TIED_SCALE,
  thresholdsBetween,
  tiedCentroids,
  tiedElements,
} from '../support/kmeans.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const PLANES = 2;

function inputs(sizes: number[], clusters: number) {
  const { chunks, elements } = layChunks(sizes, 4096);
  const keys = tiedElements(chunks, elements, clusters);
  const thresholds = thresholdsBetween(tiedCentroids(sizes.length, clusters, clusters), clusters);
  const scales = sizes.map((_, segment): Scale => (segment === 2 ? ONE_PLANE : TIED_SCALE));
  const done = Uint32Array.from(sizes, (_, segment) => (segment === 1 ? 1 : 0));
  const spans: [number, number, number][] = [];
  const sorted: number[] = [];
  const prefixes: number[] = [];
  for (const [segment, size] of sizes.entries()) {
    const first = chunks.find(([own]) => own === segment)![1];
    const own = keys.slice(first, first + size).sort();
    spans.push([sorted.length, size, prefixes.length / PLANES / 2]);
    sorted.push(...own);
    const [unit, planes] = scales[segment];
    const sums = [0n, 0n];
    for (let end = 0; end <= size; end += BLOCK) {
      for (const sum of sums) prefixes.push(Number(sum & 0xffffffffn), Number(sum >> 32n));
      for (const key of own.subarray(end, end + BLOCK)) {
        for (let plane = 0; plane < planes; plane++) sums[plane] += BigInt(limbOfKey(key, unit + 24 * plane));
      }
    }
  }
  const tables = { spans, sorted: Uint32Array.from(sorted), prefixes: Uint32Array.from(prefixes) };
  return { chunks, keys, thresholds, scales, done, tables };
}

async function run(kernel: typeof kmeansTotals, sizes: number[], clusters: number, lanes: number) {
  const { runtime } = gpu;
  const { thresholds, scales, done, tables } = inputs(sizes, clusters);
  return runtime.scope(async (scope) => {
    const compiled = await kernel.create(runtime.device, { WORKGROUP_SIZE: lanes });
    const totals = guardedWords(runtime, new Uint32Array(sizes.length * clusters * PLANES * 3));
    const buffers = {
      thresholds: scope.upload(thresholds),
      scales: scope.upload(scaleTable(scales)),
      done: scope.upload(done),
      spans: scope.upload(Uint32Array.from(tables.spans.flatMap((span) => [...span, 0]))),
      sorted: scope.upload(tables.sorted),
      prefixes: scope.upload(tables.prefixes),
      totals: totals.slice,
    };
    const params = { segments: sizes.length, clusters, planes: PLANES };
    runtime.submit([scope.keep(compiled.bind(buffers, params))]);
    return totals.read();
  });
}

/** A pass over the elements. Segments of a plane less leave its totals alone. */
function expected(sizes: number[], clusters: number): Uint32Array {
  const { chunks, keys, thresholds, scales, done } = inputs(sizes, clusters);
  const totals = new Uint32Array(sizes.length * clusters * PLANES * 3);
  for (let plane = 0; plane < PLANES; plane++)
    kmeansAccumulate(keys, thresholds, clusters, scales, done, chunks, totals, PLANES, plane);
  return totals;
}

const cases: [number[], number, number][] = [
  [[1], 2, 32],
  [[70_001], 3, 64],
  [[5000, 300, 64, 1, 63, 65, 128], 16, 32],
  [[9001, 20, 500], 100, 128],
  [[9001], 256, 256],
];

test.each(cases)('segments of %j, %i clusters, %i lanes: as a pass over the elements', async (...spec) => {
  expect(await run(kmeansTotals, ...spec)).toEqual(expected(spec[0], spec[1]));
});

test.each(cases)('the twins agree as well: segments of %j, %i clusters', (sizes, clusters) => {
  const { thresholds, scales, done, tables } = inputs(sizes, clusters);
  const totals = new Uint32Array(sizes.length * clusters * PLANES * 3);
  expect(twin(thresholds, clusters, scales, done, tables, totals, PLANES)).toEqual(expected(sizes, clusters));
});

test.each([
  ['ties go up', '<= threshold;', '< threshold;'],
  ['a block is not finished', 'at < count; at', 'at + 1u < count; at'],
  ['a plane is added twice', 'i32(scale.x + 24u * plane)', 'i32(scale.x)'],
  ['borrows are lost', 'high - select(0u, 1u, low < under)', 'high'],
])('a wrong variant is caught: %s', async (name, right, wrong) => {
  const { declaration } = kmeansTotals;
  const source = declaration.wgsl[1].replace(right, wrong);
  expect(source).not.toBe(declaration.wgsl[1]);
  const wgsl = [declaration.wgsl[0], source];
  const broken = defineKernel({ ...declaration, name: `kmeans-totals ${name}`, wgsl });
  expect(await run(broken, [70_001], 16, 32)).not.toEqual(expected([70_001], 16));
});
