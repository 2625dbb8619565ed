import { expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { kmeansGroup } from '../../src/kernels/kmeans-group.ts';
import { kmeansTotals } from '../../src/kernels/kmeans-totals.ts';
import { lookUpTables } from '../../src/quantize/kmeans-bins.ts';
import { histogram } from '../../src/reference/histogram.ts';
import { kmeansAccumulate } from '../../src/reference/kmeans-accumulate.ts';
import { kmeansGroup as groupTwin, LEFT_OUT } from '../../src/reference/kmeans-group.ts';
import { kmeansTotals as twin } from '../../src/reference/kmeans-totals.ts';
import { chunkTable, guardedWords, layChunks, tiedCentroids, tiedElements } from '../support/kmeans.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Bins of several segments: even edges that leave some bins with one value and most with several, and an end mark. */
function binned(sizes: number[], binCount: number, clusters: number) {
  const { chunks, elements } = layChunks(sizes, 4096);
  const fixed = tiedElements(chunks, elements, clusters);
  const random = seeded(clusters);
  const own = sizes.map((_, segment) => {
    const edges = new Set([1]);
    while (edges.size < (segment === 2 ? 1 : binCount))
      edges.add(2 ** 24 + random.integer(-500, 500) * 2 ** 15);
    return [...[...edges].sort((a, b) => a - b), 2 ** 25];
  });
  const spans = own.map((edges, segment) => [own.slice(0, segment).flat().length, edges.length] as const);
  const edges = Uint32Array.from(own.flat());
  const bins = histogram(fixed, chunks, spans, edges, new Uint32Array(edges.length * 3));
  const prefixes = new Uint32Array(edges.length * 4);
  const starts = new Uint32Array(edges.length).fill(LEFT_OUT);
  let place = 0;
  for (const [first, count] of spans) {
    let [before, sum] = [0, 0n];
    for (let bin = first; bin < first + count; bin++) {
      const [members, low, high] = bins.subarray(bin * 3);
      if (low + high > 0) {
        starts[bin] = place;
        place += members;
      }
      prefixes.set([before, Number(sum & 0xffffffffn), Number(sum >> 32n), starts[bin]], bin * 4);
      before += members;
      sum += BigInt(members) * BigInt(edges[bin]) + (BigInt(high) << 32n) + BigInt(low);
    }
  }
  return { chunks, fixed, spans, edges, prefixes, starts };
}

async function group(sizes: number[], binCount: number, clusters: number) {
  const { runtime } = gpu;
  const { chunks, fixed, spans, edges, starts } = binned(sizes, binCount, clusters);
  const tables = lookUpTables(
    spans.map(([first, count]) => edges.slice(first, first + count - 1)),
    spans.map(([first]) => first),
  );
  return runtime.scope(async (scope) => {
    const kernel = await kmeansGroup.create(runtime.device);
    const [cursors, grouped] = [
      guardedWords(runtime, starts),
      guardedWords(runtime, new Uint32Array(fixed.length)),
    ];
    const buffers = {
      fixed: scope.upload(fixed),
      chunks: scope.upload(chunkTable(chunks)),
      ranges: scope.upload(tables.ranges),
      cells: scope.upload(tables.cells),
      edges: scope.upload(edges),
      cursors: cursors.slice,
      grouped: grouped.slice,
    };
    runtime.submit([scope.keep(kernel.bind(buffers, { chunkCount: chunks.length }))]);
    return { cursors: await cursors.read(), grouped: await grouped.read() };
  });
}

async function run(
  kernel: typeof kmeansTotals,
  sizes: number[],
  binCount: number,
  clusters: number,
  lanes: number,
) {
  const { runtime } = gpu;
  const { spans, edges, prefixes } = binned(sizes, binCount, clusters);
  const { grouped } = await group(sizes, binCount, clusters);
  return runtime.scope(async (scope) => {
    const compiled = await kernel.create(runtime.device, { WORKGROUP_SIZE: lanes });
    const totals = guardedWords(runtime, new Uint32Array(sizes.length * clusters * 3));
    const buffers = {
      centroids: scope.upload(tiedCentroids(sizes.length, clusters, clusters)),
      done: scope.upload(doneFlags(sizes)),
      spans: scope.upload(Uint32Array.from(spans.flat())),
      edges: scope.upload(edges),
      prefixes: scope.upload(prefixes),
      grouped: scope.upload(grouped),
      totals: totals.slice,
    };
    runtime.submit([scope.keep(compiled.bind(buffers, { segments: sizes.length, clusters }))]);
    return totals.read();
  });
}

const doneFlags = (sizes: number[]) => Uint32Array.from(sizes, (_, segment) => (segment === 1 ? 1 : 0));

function expected(sizes: number[], binCount: number, clusters: number): Uint32Array {
  const { chunks, fixed } = binned(sizes, binCount, clusters);
  const centroids = tiedCentroids(sizes.length, clusters, clusters);
  const totals = new Uint32Array(sizes.length * clusters * 3);
  return kmeansAccumulate(fixed, centroids, clusters, doneFlags(sizes), chunks, totals);
}

const cases: [number[], number, number, number][] = [
  [[1], 1, 2, 32],
  [[70_001], 3, 3, 64],
  [[5000, 300, 64, 1, 31, 32, 33], 40, 16, 32],
  [[9001, 20, 500], 700, 100, 128],
  [[9001], 200, 256, 32],
];

test.each(cases)(
  'segments of %j in %i bins, %i clusters, %i lanes: as a pass over the elements',
  async (...spec) => {
    const [sizes, binCount, clusters] = spec;
    expect(await run(kmeansTotals, ...spec)).toEqual(expected(sizes, binCount, clusters));
  },
);

test.each(cases)(
  'the twins agree as well: segments of %j in %i bins, %i clusters',
  (sizes, binCount, clusters) => {
    const { chunks, fixed, spans, edges, prefixes, starts } = binned(sizes, binCount, clusters);
    const grouped = groupTwin(fixed, chunks, spans, edges, starts);
    const centroids = tiedCentroids(sizes.length, clusters, clusters);
    const totals = new Uint32Array(sizes.length * clusters * 3);
    const actual = twin(centroids, clusters, doneFlags(sizes), { spans, edges, prefixes, grouped }, totals);
    expect(actual).toEqual(expected(sizes, binCount, clusters));
  },
);

test.each([
  ['ties go up', 'x <= threshold', 'x < threshold'],
  ['the last of a bin is dropped', 'prefixes[bin + 1u].x - whole.x', 'prefixes[bin + 1u].x - whole.x - 1u'],
  ['borrows are lost', 'high - select(0u, 1u, low < under)', 'high'],
])('a wrong variant is caught: %s', async (name, right, wrong) => {
  const { declaration } = kmeansTotals;
  const source = declaration.wgsl[0].replace(right, wrong);
  expect(source).not.toBe(declaration.wgsl[0]);
  const broken = defineKernel({ ...declaration, name: `kmeans-totals ${name}`, wgsl: [source] });
  expect(await run(broken, [70_001], 30, 16, 32)).not.toEqual(expected([70_001], 30, 16));
});
