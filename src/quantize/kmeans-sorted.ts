import type { Call } from '../gpu/call.ts';
import type { Runtime, Scope } from '../gpu/runtime.ts';
import { kmeansTotals } from '../kernels/kmeans-totals.ts';
import { keysOf, signedLimb } from './kmeans-keys.ts';
import type { LloydState } from './kmeans-lloyd.ts';
import type { Segment } from './kmeans-segments.ts';
import type { Pause } from './pause.ts';

/** Elements of a block: BLOCK of shaders/kmeans-totals.wgsl. */
const BLOCK = 64;

/** Up to this many keys the platform's sort costs less than the counting of {@link radixSort}. */
const FEW = 2048;

/** A segment's keys, ascending; sorted once, whoever asks. */
export function sortedKeys(segment: Segment): Uint32Array {
  segment.sorted ??= sortKeys(keysOf(segment.values));
  return segment.sorted;
}

/** Ascending keys; the array given may be used for them, or as scratch space. */
function sortKeys(keys: Uint32Array): Uint32Array {
  return keys.length <= FEW ? keys.sort() : radixSort(keys);
}

/** Least significant digit first, three digits of 11 bits: on nine million keys five times faster than the platform. */
function radixSort(keys: Uint32Array): Uint32Array {
  const digits = 2 ** 11;
  const starts = [0, 11, 22].map(() => new Uint32Array(digits));
  const [first, second, third] = starts;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    first[key & 2047] += 1;
    second[(key >>> 11) & 2047] += 1;
    third[key >>> 22] += 1;
  }
  let from = keys;
  let to: Uint32Array = new Uint32Array(keys.length);
  for (const [pass, counts] of starts.entries()) {
    let sum = 0;
    for (let digit = 0; digit < digits; digit++) {
      const count = counts[digit];
      counts[digit] = sum;
      sum += count;
    }
    const shift = 11 * pass;
    for (let i = 0; i < from.length; i++) {
      const key = from[i];
      to[counts[(key >>> shift) & 2047]++] = key;
    }
    [from, to] = [to, from];
  }
  return from;
}

/**
 * Sorts every segment once and returns the call that adds up members from their ranks, in place of passes over the
 * elements: the same totals, bit for bit, and so the same iterations.
 */
export async function sortedStep(
  runtime: Runtime,
  scope: Scope,
  segments: readonly Segment[],
  state: LloydState,
  clusters: number,
  pause: Pause,
): Promise<Call[]> {
  const { planes, thresholds, scales, done, totals } = state;
  const spans = new Uint32Array(segments.length * 4);
  let elements = 0;
  let blocks = 0;
  for (const [index, { values }] of segments.entries()) {
    spans.set([elements, values.length, blocks, 0], index * 4);
    elements += values.length;
    blocks += Math.floor(values.length / BLOCK) + 1;
  }
  const sorted = new Uint32Array(elements);
  const prefixes = new Uint32Array(blocks * planes * 2);
  for (const [index, segment] of segments.entries()) {
    await pause();
    const [first, , firstBlock] = spans.subarray(index * 4);
    const keys = sortedKeys(segment);
    sorted.set(keys, first);
    for (let plane = 0; plane < segment.scale.planes; plane++) {
      addPrefixes(keys, segment.scale.unit + 24 * plane, prefixes, firstBlock * planes + plane, planes);
    }
  }
  const kernel = await kmeansTotals.create(runtime.device);
  const buffers = {
    thresholds,
    scales,
    done,
    spans: scope.upload(spans, 'kmeans spans'),
    sorted: scope.upload(sorted, 'kmeans sorted'),
    prefixes: scope.upload(prefixes, 'kmeans prefixes'),
    totals,
  };
  return [scope.keep(kernel.bind(buffers, { segments: segments.length, clusters, planes }))];
}

/** Sums of limbs before each block of 64, as two words; every `stride`-th pair from pair `at` is this plane's. */
function addPrefixes(
  keys: Uint32Array,
  base: number,
  prefixes: Uint32Array,
  at: number,
  stride: number,
): void {
  let sum = 0;
  for (let i = 0; i <= keys.length; i++) {
    if (i % BLOCK === 0) {
      // Exact in float64: limbs are below 2^25, and no more than 2^28 of them.
      const pair = (at + (i / BLOCK) * stride) * 2;
      prefixes[pair] = sum % 2 ** 32;
      prefixes[pair + 1] = sum / 2 ** 32;
    }
    if (i < keys.length) sum += 2 ** 24 + signedLimb(keys[i], base);
  }
}
