import { keyOfBits } from './float-keys.ts';

/** A run of one segment's elements. */
export type Chunk = readonly [segment: number, first: number, end: number];

/** What its sums need to know of a segment: see shaders/lib/float-keys.wgsl. */
export type Scale = readonly [unit: number, planes: number, largest: number];

/**
 * CPU twin of shaders/kmeans-keys.wgsl: replaces the bits of every chunk's elements by their keys.
 *
 * @example
 * kmeansKeys(new Uint32Array(Float32Array.of(-0, 2 ** -149).buffer), [[0, 0, 2]]); // [2^31, 2^31 + 1]
 */
export function kmeansKeys(elements: Uint32Array, chunks: readonly Chunk[]): Uint32Array {
  for (const [, first, end] of chunks) {
    for (let at = first; at < end; at++) elements[at] = keyOfBits(elements[at]);
  }
  return elements;
}
