import type { Runtime } from '../../src/gpu/runtime.ts';
import type { kmeansAccumulate as Narrow } from '../../src/kernels/kmeans-accumulate.ts';
import type { kmeansAccumulateWide as Wide } from '../../src/kernels/kmeans-accumulate-wide.ts';
import { kmeansAccumulate } from '../../src/reference/kmeans-accumulate.ts';
import type { Chunk } from '../../src/reference/kmeans-fix.ts';
import { guardedOutput, seeded } from './runtime.ts';

/** A guarded buffer that starts out holding `words` instead of guard words. */
export function guardedWords(runtime: Runtime, words: Uint32Array) {
  const output = guardedOutput(runtime, words.byteLength);
  runtime.device.queue.writeBuffer(output.slice.buffer, output.slice.offset, words.slice());
  return { slice: output.slice, read: async () => new Uint32Array(await output.read()) };
}

/** The kernels' chunk table: four words a row. */
export const chunkTable = (chunks: readonly Chunk[]) =>
  Uint32Array.from(chunks.flatMap((chunk) => [...chunk, 0]));

/** Segments one after the other, each from a multiple of 4 and cut into chunks of at most `most` elements. */
export function layChunks(sizes: readonly number[], most: number): { chunks: Chunk[]; elements: number } {
  const chunks: Chunk[] = [];
  let at = 0;
  for (const [segment, size] of sizes.entries()) {
    for (let first = at; first < at + size; first += most) {
      chunks.push([segment, first, Math.min(first + most, at + size)]);
    }
    at += Math.ceil(size / 4) * 4;
  }
  return { chunks, elements: at };
}

/** Fixed-point elements on a coarse grid, so that many lie exactly between centroids; 0 between the segments. */
export function tiedElements(chunks: readonly Chunk[], elements: number, seed: number): Uint32Array {
  const random = seeded(seed);
  const fixed = new Uint32Array(elements);
  for (const [, first, end] of chunks) {
    for (let at = first; at < end; at++) fixed[at] = 2 ** 24 + random.integer(-500, 500) * 2 ** 15;
  }
  return fixed;
}

/** Ascending centroids for every segment, on the grid of {@link tiedElements}, some of them equal. */
export function tiedCentroids(segments: number, clusters: number, seed: number): Uint32Array {
  const random = seeded(seed);
  const centroids = new Uint32Array(segments * clusters);
  for (let segment = 0; segment < segments; segment++) {
    const own = centroids.subarray(segment * clusters, (segment + 1) * clusters);
    for (let c = 0; c < clusters; c++) own[c] = 2 ** 24 + random.integer(-500, 500) * 2 ** 15;
    own.sort();
  }
  return centroids;
}

type Kernel = typeof Narrow | typeof Wide;

/** Segments of several sizes, the second of them done. */
export interface AccumulateCase {
  clusters: number;
  sizes: number[];
  most: number;
  lanes: number;
}

function accumulateInputs({ clusters, sizes, most }: AccumulateCase) {
  const { chunks, elements } = layChunks(sizes, most);
  const fixed = tiedElements(chunks, elements, clusters);
  const centroids = tiedCentroids(sizes.length, clusters, 7 * clusters);
  // The second segment is done, and must keep the totals it has.
  const done = Uint32Array.from(sizes, (_, segment) => (segment === 1 ? 1 : 0));
  const totals = new Uint32Array(sizes.length * clusters * 3);
  if (sizes.length > 1) totals.fill(5, clusters * 3, 2 * clusters * 3);
  return { chunks, fixed, centroids, done, totals };
}

/** Totals that a kernel adds up, for a case that its twin can repeat. */
export async function accumulateOnGpu(
  runtime: Runtime,
  kernel: Kernel,
  spec: AccumulateCase,
): Promise<Uint32Array> {
  const { clusters, lanes } = spec;
  const { chunks, fixed, centroids, done, totals } = accumulateInputs(spec);
  const THRESHOLDS = `${[1, 3, 7, 15].find((count) => clusters <= count + 1)}u`;
  return runtime.scope(async (scope) => {
    const specialization: Record<string, number | string> = kernel.declaration.constants
      ? { WORKGROUP_SIZE: lanes, THRESHOLDS }
      : { WORKGROUP_SIZE: lanes };
    const compiled = await kernel.create(runtime.device, specialization);
    const output = guardedWords(runtime, totals);
    const buffers = {
      fixed: scope.upload(fixed),
      centroids: scope.upload(centroids),
      done: scope.upload(done),
      chunks: scope.upload(chunkTable(chunks)),
      totals: output.slice,
    };
    runtime.submit([scope.keep(compiled.bind(buffers, { chunkCount: chunks.length, clusters }))]);
    return output.read();
  });
}

/** What the twin adds up. */
export function accumulateOnCpu(spec: AccumulateCase): Uint32Array {
  const { chunks, fixed, centroids, done, totals } = accumulateInputs(spec);
  return kmeansAccumulate(fixed, centroids, spec.clusters, done, chunks, totals);
}
