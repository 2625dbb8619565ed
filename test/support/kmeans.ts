import type { Runtime } from '../../src/gpu/runtime.ts';
import type { kmeansAccumulate as Narrow } from '../../src/kernels/kmeans-accumulate.ts';
import type { kmeansAccumulateWide as Wide } from '../../src/kernels/kmeans-accumulate-wide.ts';
import { keyOf } from '../../src/quantize/kmeans-keys.ts';
import { midpointKey } from '../../src/reference/float-keys.ts';
import { kmeansAccumulate } from '../../src/reference/kmeans-accumulate.ts';
import type { Chunk, Scale } from '../../src/reference/kmeans-keys.ts';
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

/** Magnitudes and signs of every kind: both zeros, subnormals, powers of two and their neighbours, the largest float. */
export function edgeValues(seed: number, count: number, exponents: readonly [number, number]): Float32Array {
  const random = seeded(seed);
  const words = Uint32Array.from({ length: count }, () => {
    const biased = random.integer(...exponents);
    const significand = random.pick([0, 1, 0x7fffff, random.integer(0, 0x7fffff)]);
    return ((random.integer(0, 1) << 31) | (biased << 23) | significand) >>> 0;
  });
  return new Float32Array(words.buffer);
}

/** What sums of the keys of `edgeValues` with those exponents need. */
export const edgeScale = ([low, high]: readonly [number, number]): Scale => {
  const unit = Math.max(1, low);
  const largest = Math.max(1, high);
  return [unit, Math.ceil((largest + 24 - unit) / 24), largest];
};

/** Keys of multiples of 2^-15: many lie exactly between centroids; 0 between the segments. */
export function tiedElements(chunks: readonly Chunk[], elements: number, seed: number): Uint32Array {
  const random = seeded(seed);
  const keys = new Uint32Array(elements);
  for (const [, first, end] of chunks) {
    for (let at = first; at < end; at++) keys[at] = tiedKey(random.integer(-500, 500));
  }
  return keys;
}

const tiedKey = (multiple: number) => keyOf(multiple * 2 ** -15);

/** Cuts {@link tiedElements} in two planes: bits from 2^-15 to 2^-9, and what is above. */
export const TIED_SCALE: Scale = [118, 2, 121];

/** All of them in one plane. */
export const ONE_PLANE: Scale = [126, 1, 121];

/** Ascending centroids for every segment, on the grid of {@link tiedElements}, some of them equal. */
export function tiedCentroids(segments: number, clusters: number, seed: number): Uint32Array {
  const random = seeded(seed);
  const centroids = new Uint32Array(segments * clusters);
  for (let segment = 0; segment < segments; segment++) {
    const own = centroids.subarray(segment * clusters, (segment + 1) * clusters);
    for (let c = 0; c < clusters; c++) own[c] = tiedKey(random.integer(-500, 500));
    own.sort();
  }
  return centroids;
}

/** The thresholds between centroids; above the last of each segment the largest word. */
export const thresholdsBetween = (centroids: Uint32Array, clusters: number) =>
  centroids.map((key, at) => ((at + 1) % clusters === 0 ? 2 ** 32 - 1 : midpointKey(key, centroids[at + 1])));

/** Four words a segment. */
export const scaleTable = (scales: readonly Scale[]) =>
  Uint32Array.from(scales.flatMap((scale) => [...scale, 0]));

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
  const keys = tiedElements(chunks, elements, clusters);
  const thresholds = thresholdsBetween(tiedCentroids(sizes.length, clusters, 7 * clusters), clusters);
  // The second segment is done, and must keep the totals it has; the third has one plane only.
  const done = Uint32Array.from(sizes, (_, segment) => (segment === 1 ? 1 : 0));
  const scales = sizes.map((_, segment): Scale => (segment === 2 ? ONE_PLANE : TIED_SCALE));
  const totals = new Uint32Array(sizes.length * clusters * PLANES * 3);
  if (sizes.length > 1) totals.fill(5, clusters * PLANES * 3, 2 * clusters * PLANES * 3);
  return { chunks, keys, thresholds, done, scales, totals };
}

const PLANES = 2;

/** Totals that a kernel adds up, for a case that its twin can repeat. */
export async function accumulateOnGpu(
  runtime: Runtime,
  kernel: Kernel,
  spec: AccumulateCase,
): Promise<Uint32Array> {
  const { clusters, lanes } = spec;
  const { chunks, keys, thresholds, done, scales, totals } = accumulateInputs(spec);
  const THRESHOLDS = `${[1, 3, 7, 15].find((count) => clusters <= count + 1)}u`;
  return runtime.scope(async (scope) => {
    const specialization: Record<string, number | string> = kernel.declaration.constants
      ? { WORKGROUP_SIZE: lanes, THRESHOLDS }
      : { WORKGROUP_SIZE: lanes };
    const compiled = await kernel.create(runtime.device, specialization);
    const output = guardedWords(runtime, totals);
    const buffers = {
      keys: scope.upload(keys),
      thresholds: scope.upload(thresholds),
      scales: scope.upload(scaleTable(scales)),
      done: scope.upload(done),
      chunks: scope.upload(chunkTable(chunks)),
      totals: output.slice,
    };
    runtime.submit(
      Array.from({ length: PLANES }, (_, plane) =>
        scope.keep(compiled.bind(buffers, { chunkCount: chunks.length, clusters, planes: PLANES, plane })),
      ),
    );
    return output.read();
  });
}

/** What the twin adds up. */
export function accumulateOnCpu(spec: AccumulateCase): Uint32Array {
  const { chunks, keys, thresholds, done, scales, totals } = accumulateInputs(spec);
  for (let plane = 0; plane < PLANES; plane++)
    kmeansAccumulate(keys, thresholds, spec.clusters, scales, done, chunks, totals, PLANES, plane);
  return totals;
}
