import type { Runtime, Scope } from '../gpu/runtime.ts';
import { histogram } from '../kernels/histogram.ts';
import type { Bins } from './kmeans-dp.ts';
import { strided } from './kmeans-init.ts';
import type { Slab } from './kmeans-lloyd.ts';
import { FIXED_ZERO, fixedPoint, type Segment } from './kmeans-segments.ts';

/** Up to this many elements sorting them on the host costs less than a histogram. */
export const SORTED = 16384;
/** Distinct values that get a bin each. Float16 weights have at most 65,536, and 16,000 to 40,000 in practice. */
const EXACT_BINS = 65536;
/** Else: even bins for sparse tails, bins of equal mass for dense centres, and geometric ones for scales in between. */
const EVEN_BINS = 8192;
const QUANTILE_BINS = 8192;
const OCTAVE_BINS = 16;

/** Bins that hold elements, and where they lie: bin i holds what is in [edges[i], ends[i]). */
export interface EdgedBins extends Bins {
  edges: Uint32Array;
  ends: Uint32Array;
}

/** Edges of a segment's bins: one a distinct value where those are few enough, else bins that are fine everywhere. */
export function chooseEdges(segment: Segment): Uint32Array {
  const { values, distinct, exponent } = segment;
  if (distinct) return distinctSorted(Uint32Array.from(distinct, (value) => fixedPoint(value, exponent)));
  if (values.length <= SORTED) return distinctSorted(strided(segment, SORTED));
  return exactEdges(segment) ?? adaptiveEdges(segment);
}

/** Spans and edges of all segments, one after the other. */
export function joinEdges(edges: readonly Uint32Array[]): { spans: Uint32Array; all: Uint32Array } {
  const spans = new Uint32Array(edges.length * 2);
  const all = new Uint32Array(edges.reduce((total, { length }) => total + length, 0));
  let first = 0;
  for (const [index, own] of edges.entries()) {
    spans.set([first, own.length], index * 2);
    all.set(own, first);
    first += own.length;
  }
  return { spans, all };
}

/** The first edge of each segment. */
export const firstsOf = (spans: Uint32Array) => Array.from(spans).filter((_, i) => i % 2 === 0);

/** Equal cells a segment, at most: 64 KiB of table, and some four edges a cell where 65,536 share them. */
const CELLS = 16384;

/**
 * The tables that find an element's bin in a few loads: see shaders/histogram.wgsl.
 *
 * @param edges ascending edges of each segment, without an end mark
 * @param firsts where each segment's edges start in the joined array
 */
export function lookUpTables(
  edges: readonly Uint32Array[],
  firsts: readonly number[],
): { ranges: Uint32Array; cells: Uint32Array } {
  const ranges = new Uint32Array(edges.length * 4);
  const cells: Uint32Array[] = [];
  let at = 0;
  for (const [segment, own] of edges.entries()) {
    if (own.length === 0) continue;
    const span = own[own.length - 1] - own[0];
    let shift = 0;
    while (span >>> shift >= CELLS) shift += 1;
    const count = (span >>> shift) + 1;
    const table = new Uint32Array(count + 1).fill(firsts[segment] + own.length - 1);
    for (let cell = 0, bin = 0; cell < count; cell++) {
      const lowest = own[0] + cell * 2 ** shift;
      while (bin + 1 < own.length && own[bin + 1] <= lowest) bin += 1;
      table[cell] = firsts[segment] + bin;
    }
    ranges.set([own[0], shift, at, count], segment * 4);
    cells.push(table);
    at += table.length;
  }
  const joined = new Uint32Array(at);
  at = 0;
  for (const table of cells) {
    joined.set(table, at);
    at += table.length;
  }
  return { ranges, cells: joined };
}

/** Counts the elements of each bin on the GPU; bins without any are left out. */
export async function countBins(
  runtime: Runtime,
  scope: Scope,
  slabs: readonly Slab[],
  edges: readonly Uint32Array[],
): Promise<EdgedBins[]> {
  const { spans, all } = joinEdges(edges);
  const kernel = await histogram.create(runtime.device);
  const bins = scope.empty(all.length * 12, 'kmeans bins');
  const { ranges, cells } = lookUpTables(edges, firstsOf(spans));
  const tables = { ranges: scope.upload(ranges), cells: scope.upload(cells), edges: scope.upload(all) };
  runtime.submit(
    slabs.map(({ fixed, chunks, chunkCount }) =>
      scope.keep(kernel.bind({ fixed, chunks, ...tables, bins }, { chunkCount })),
    ),
  );
  const words = new Uint32Array(await runtime.read(bins));
  return edges.map((own, index) => {
    // Plain loops: callbacks and views a bin took longer than the kernel for the 300,000 bins of a network.
    const base = spans[index * 2] * 3;
    let held = 0;
    for (let bin = 0; bin < own.length; bin++) if (words[base + bin * 3] > 0) held += 1;
    const found: EdgedBins = {
      counts: new Float64Array(held),
      sums: new Float64Array(held),
      edges: new Uint32Array(held),
      ends: new Uint32Array(held),
    };
    for (let bin = 0, to = 0; bin < own.length; bin++) {
      const at = base + bin * 3;
      if (words[at] === 0) continue;
      found.counts[to] = words[at];
      found.sums[to] = own[bin] * words[at] + words[at + 1] + words[at + 2] * 2 ** 32;
      found.edges[to] = own[bin];
      found.ends[to] = bin + 1 < own.length ? own[bin + 1] : FIXED_ZERO * 2;
      to += 1;
    }
    return found;
  });
}

export function sortedBins(sorted: Uint32Array): EdgedBins {
  const edges = sorted.filter((value, i) => i === 0 || value !== sorted[i - 1]);
  const counts = new Float64Array(edges.length);
  for (let i = 0, bin = 0; i < sorted.length; i++) {
    if (sorted[i] !== edges[bin]) bin += 1;
    counts[bin] += 1;
  }
  return {
    counts,
    sums: counts.map((count, bin) => count * edges[bin]),
    edges,
    ends: edges.map((edge) => edge + 1),
  };
}

/** One edge a distinct value, for weights that came from float16 or another short format; null for all others. */
function exactEdges({ values, exponent }: Segment): Uint32Array | null {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  // Sign, exponent and the upper 10 of 23 significand bits: whatever float16 can hold has zeros in the other 13.
  const present = new Uint8Array(2 ** 19);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i] & 0x1fff) !== 0) return null;
    present[bits[i] >>> 13] = 1;
  }
  const word = new Uint32Array(1);
  const float = new Float32Array(word.buffer);
  const found: number[] = [];
  for (let key = 0; key < present.length; key++) {
    if (present[key] === 0) continue;
    word[0] = (key << 13) >>> 0;
    found.push(fixedPoint(float[0], exponent));
  }
  const edges = distinctSorted(Uint32Array.from(found));
  return edges.length <= EXACT_BINS ? edges : null;
}

function adaptiveEdges(segment: Segment): Uint32Array {
  const low = fixedPoint(segment.min, segment.exponent);
  const high = fixedPoint(segment.max, segment.exponent);
  const found: number[] = [];
  for (let i = 0; i < EVEN_BINS; i++) found.push(low + Math.floor(((high - low) * i) / EVEN_BINS));
  const sample = strided(segment, QUANTILE_BINS * 8);
  for (let i = 0; i < sample.length; i += 8) found.push(sample[i]);
  const middle = sample[sample.length >>> 1];
  for (let i = 0; i < 25 * OCTAVE_BINS; i++) {
    const apart = Math.round(2 ** (i / OCTAVE_BINS));
    found.push(Math.max(low, middle - apart), Math.min(high, middle + apart));
  }
  return distinctSorted(Uint32Array.from(found));
}

/** Sorts in place and drops repeats. */
export function distinctSorted(values: Uint32Array): Uint32Array {
  values.sort();
  return values.filter((value, i) => i === 0 || value !== values[i - 1]);
}
