import { expect, test } from 'vitest';
import { kmeansGroup } from '../../src/kernels/kmeans-group.ts';
import { lookUpTables } from '../../src/quantize/kmeans-bins.ts';
import { LEFT_OUT, kmeansGroup as twin } from '../../src/reference/kmeans-group.ts';
import { chunkTable, guardedWords, layChunks, tiedElements } from '../support/kmeans.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

test.each([
  [[1], 64],
  [[63, 64, 65], 32],
  [[20_001, 3], 4096],
])("holds the twin's elements in every bin: segments of %j, chunks of %i", async (sizes, most) => {
  const { runtime } = gpu;
  const { chunks, elements } = layChunks(sizes, most);
  const fixed = tiedElements(chunks, elements, elements);
  const own = [1, 2 ** 24 - 2 ** 22, 2 ** 24, 2 ** 24 + 12345, 2 ** 25];
  const spans = sizes.map((_, segment) => [segment * own.length, own.length] as const);
  const edges = Uint32Array.from(sizes.flatMap(() => own));
  const tables = lookUpTables(
    sizes.map(() => Uint32Array.from(own)),
    spans.map(([first]) => first),
  );
  // The third bin of each segment is left out; the others start one after the other.
  const size = (segment: number, bin: number) => {
    const values = chunks
      .filter(([of]) => of === segment)
      .flatMap(([, first, end]) => [...fixed.slice(first, end)]);
    return values.filter((x) => x >= own[bin] && x < (own[bin + 1] ?? 2 ** 32)).length;
  };
  let place = 0;
  const cursors = edges.map((_, at) => {
    const [segment, bin] = [Math.floor(at / own.length), at % own.length];
    if (bin === 2) return LEFT_OUT;
    place += size(segment, bin);
    return place - size(segment, bin);
  });
  const starts = cursors.slice();
  const expected = twin(fixed, chunks, spans, edges, cursors);
  const actual = await runtime.scope(async (scope) => {
    const kernel = await kmeansGroup.create(runtime.device);
    const [moved, grouped] = [
      guardedWords(runtime, starts),
      guardedWords(runtime, new Uint32Array(elements)),
    ];
    const buffers = {
      fixed: scope.upload(fixed),
      chunks: scope.upload(chunkTable(chunks)),
      ranges: scope.upload(tables.ranges),
      cells: scope.upload(tables.cells),
      edges: scope.upload(edges),
      cursors: moved.slice,
      grouped: grouped.slice,
    };
    runtime.submit([scope.keep(kernel.bind(buffers, { chunkCount: chunks.length }))]);
    return { cursors: await moved.read(), grouped: await grouped.read() };
  });
  expect(actual.cursors).toEqual(cursors);
  // Within a bin the order is free.
  for (const words of [expected, actual.grouped]) {
    for (const [at, start] of starts.entries())
      if (start !== LEFT_OUT) words.subarray(start, cursors[at]).sort();
  }
  expect(actual.grouped).toEqual(expected);
});
