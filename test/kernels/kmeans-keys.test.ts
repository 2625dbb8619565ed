import { expect, test } from 'vitest';
import { kmeansKeys } from '../../src/kernels/kmeans-keys.ts';
import { keyOf, keysOf, valueOfKey } from '../../src/quantize/kmeans-keys.ts';
import { type Chunk, kmeansKeys as twin } from '../../src/reference/kmeans-keys.ts';
import { chunkTable, edgeValues, guardedWords, layChunks } from '../support/kmeans.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const bitsOf = (values: Float32Array) => new Uint32Array(values.slice().buffer);

async function run(values: Float32Array, chunks: Chunk[], workgroupSize = 64) {
  const { runtime } = gpu;
  return runtime.scope(async (scope) => {
    const kernel = await kmeansKeys.create(runtime.device, { WORKGROUP_SIZE: workgroupSize });
    const elements = guardedWords(runtime, bitsOf(values));
    const buffers = { chunks: scope.upload(chunkTable(chunks)), elements: elements.slice };
    runtime.submit([scope.keep(kernel.bind(buffers, { chunkCount: chunks.length }))]);
    return elements.read();
  });
}

test('keys of all kinds of floats equal the twin and the host, keep their order, and come back', async () => {
  const values = edgeValues(1, 5000, [0, 254]);
  const expected = twin(bitsOf(values), [[0, 0, values.length]]);
  expect(await run(values, [[0, 0, values.length]])).toEqual(expected);
  expect(keysOf(values)).toEqual(expected);
  expect(Uint32Array.from(values, keyOf)).toEqual(expected);
  expect(Float32Array.from(expected, valueOfKey)).toEqual(values.map((value) => value + 0));
  const sorted = Float32Array.from(expected.slice().sort(), valueOfKey);
  expect(sorted.every((value, i) => i === 0 || value >= sorted[i - 1])).toBe(true);
});

test.each([32, 64, 256])(
  'ragged chunks of several segments with %i lanes and nothing else',
  async (lanes) => {
    const { chunks, elements } = layChunks([1, lanes - 1, lanes, lanes + 1, 3 * lanes + 5], 128);
    const values = seeded(lanes).floats(elements, 0.3);
    expect(await run(values, chunks, lanes)).toEqual(twin(bitsOf(values), chunks));
  },
);
