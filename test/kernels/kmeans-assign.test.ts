import { expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { kmeansAssign } from '../../src/kernels/kmeans-assign.ts';
import { kmeansAssign as twin } from '../../src/reference/kmeans-assign.ts';
import {
  chunkTable,
  guardedWords,
  layChunks,
  thresholdsBetween,
  tiedCentroids,
  tiedElements,
} from '../support/kmeans.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

function inputs(clusters: number, sizes: number[], most: number) {
  const { chunks, elements } = layChunks(sizes, most);
  const keys = tiedElements(chunks, elements, clusters);
  const thresholds = thresholdsBetween(tiedCentroids(sizes.length, clusters, 3 * clusters), clusters);
  return { chunks, elements, keys, thresholds };
}

async function run(
  kernel: typeof kmeansAssign,
  clusters: number,
  sizes: number[],
  most: number,
  lanes: number,
) {
  const { runtime } = gpu;
  const { chunks, elements, keys, thresholds } = inputs(clusters, sizes, most);
  return runtime.scope(async (scope) => {
    const compiled = await kernel.create(runtime.device, { WORKGROUP_SIZE: lanes });
    const codes = guardedWords(runtime, new Uint32Array(elements / 4));
    const buffers = {
      keys: scope.upload(keys),
      thresholds: scope.upload(thresholds),
      chunks: scope.upload(chunkTable(chunks)),
      codes: codes.slice,
    };
    runtime.submit([scope.keep(compiled.bind(buffers, { chunkCount: chunks.length, clusters }))]);
    return new Uint8Array((await codes.read()).buffer);
  });
}

function expected(clusters: number, sizes: number[], most: number): Uint8Array {
  const { chunks, keys, thresholds } = inputs(clusters, sizes, most);
  return twin(keys, thresholds, clusters, chunks);
}

test.each([
  [2, 64, 65536],
  [3, 32, 4],
  [5, 256, 1024],
  [12, 64, 256],
  [16, 64, 65536],
  [255, 128, 4096],
  [256, 64, 65536],
])('equals its twin: %i clusters, %i lanes, chunks of %i', async (clusters, lanes, most) => {
  const sizes = [lanes * 4 + 1, 1, lanes * 4 - 1, lanes * 4, 30_001];
  expect(await run(kmeansAssign, clusters, sizes, most, lanes)).toEqual(expected(clusters, sizes, most));
});

test('more chunks than one row of workgroups holds', async () => {
  const sizes = [66_000 * 4 + 3];
  expect(await run(kmeansAssign, 4, sizes, 4, 32)).toEqual(expected(4, sizes, 4));
});

test.each([
  ['ties go up', 'x > vec4u(pivots[j])', 'x >= vec4u(pivots[j])'],
  ['the tail is dropped', '(chunk.z + 3u) / 4u', 'chunk.z / 4u'],
  ['the last threshold is never set', 'j + 1u < params.clusters', 'j + 2u < params.clusters'],
])('a wrong variant is caught: %s', async (name, right, wrong) => {
  const { declaration } = kmeansAssign;
  const source = declaration.wgsl[0].replace(right, wrong);
  expect(source).not.toBe(declaration.wgsl[0]);
  const broken = defineKernel({ ...declaration, name: `kmeans-assign ${name}`, wgsl: [source] });
  expect(await run(broken, 8, [4099], 1024, 64)).not.toEqual(expected(8, [4099], 1024));
});
