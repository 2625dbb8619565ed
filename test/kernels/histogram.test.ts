import { expect, test } from 'vitest';
import { histogram } from '../../src/kernels/histogram.ts';
import { lookUpTables } from '../../src/quantize/kmeans-bins.ts';
import { histogram as twin } from '../../src/reference/histogram.ts';
import { chunkTable, guardedWords, layChunks, tiedElements } from '../support/kmeans.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Ascending distinct edges, the first of them below every element of tiedElements. */
function makeEdges(count: number, seed: number): number[] {
  const random = seeded(seed);
  const edges = new Set([1]);
  while (edges.size < count) edges.add(2 ** 24 + random.integer(-500, 500) * 2 ** 15 + random.integer(-1, 1));
  return [...edges].sort((a, b) => a - b);
}

test.each([
  [[5], [1], 64],
  [[1, 63, 64, 65, 20_001], [3, 0, 17, 256, 1000], 4096],
  [[70_001], [2], 65536],
])('equals its twin: segments of %j with %j edges, chunks of %i', async (sizes, edgeCounts, most) => {
  const { runtime } = gpu;
  const { chunks, elements } = layChunks(sizes, most);
  const fixed = tiedElements(chunks, elements, elements);
  const lists = edgeCounts.map((count, segment) => (count === 0 ? [] : makeEdges(count, segment)));
  const spans = lists.map((own, segment) => [lists.slice(0, segment).flat().length, own.length] as const);
  const edges = Uint32Array.from(lists.flat());
  const tables = lookUpTables(
    lists.map((own) => Uint32Array.from(own)),
    spans.map(([first]) => first),
  );
  const expected = twin(fixed, chunks, spans, edges, new Uint32Array(edges.length * 3));
  const actual = await runtime.scope(async (scope) => {
    const kernel = await histogram.create(runtime.device);
    const bins = guardedWords(runtime, new Uint32Array(edges.length * 3));
    const buffers = {
      fixed: scope.upload(fixed),
      chunks: scope.upload(chunkTable(chunks)),
      ranges: scope.upload(tables.ranges),
      cells: scope.upload(tables.cells),
      edges: scope.upload(edges),
      bins: bins.slice,
    };
    runtime.submit([scope.keep(kernel.bind(buffers, { chunkCount: chunks.length }))]);
    return bins.read();
  });
  expect(actual).toEqual(expected);
});
