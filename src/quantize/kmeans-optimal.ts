import type { Runtime, Scope } from '../gpu/runtime.ts';
import { histogram } from '../kernels/histogram.ts';
import { type Bins, optimalRuns, runMeans, windowedRuns } from './kmeans-dp.ts';
import { initialCentroids, strided } from './kmeans-init.ts';
import type { Slab } from './kmeans-lloyd.ts';
import { FIXED_ZERO, fixedPoint, type Segment } from './kmeans-segments.ts';

/** Up to this many elements sorting them on the host costs less than a histogram. */
const SORTED = 16384;
/** Distinct values that get a bin each. Float16 weights have at most 65,536, and 16,000 to 40,000 in practice. */
const EXACT_BINS = 65536;
/** Else: even bins for sparse tails, bins of equal mass for dense centres, and geometric ones for scales in between. */
const EVEN_BINS = 8192;
const QUANTILE_BINS = 8192;
const OCTAVE_BINS = 16;

/** Pieces that a refinement cuts each bin near a cut into, and how many bins to either side it looks at. */
const PIECES = 64;
const REACH = 2;

/** Counting settles in three or four rounds; cuts that wander from bin to bin end here. */
const ROUNDS = 8;

/** Bins that hold elements, and where they lie: bin i holds what is in [edges[i], ends[i]). */
interface EdgedBins extends Bins {
  edges: Uint32Array;
  ends: Uint32Array;
}

/**
 * Initial centroids at the global optimum: a histogram of each segment on the GPU, then Wu's dynamic programme over
 * its bins on the host.
 *
 * Where a segment has at most 65,536 distinct values, as float16 weights do, each gets a bin and the optimum is exact.
 * Else the optimum over coarse bins is refined: the bins around its cuts are counted again in 64 pieces, and the best
 * cuts among those taken, until a piece is a single value.
 */
export async function optimalCentroids(
  runtime: Runtime,
  scope: Scope,
  segments: readonly Segment[],
  slabs: readonly Slab[],
  clusters: number,
): Promise<Uint32Array> {
  const bins: EdgedBins[] = [];
  const cuts: Uint32Array[] = [];
  let edges = segments.map((segment, index) => {
    if (!segment.distinct && segment.values.length > SORTED)
      return exactEdges(segment) ?? adaptiveEdges(segment);
    if (!segment.distinct) bins[index] = sortedBins(strided(segment, SORTED));
    return new Uint32Array(0);
  });
  for (let round = 0; round < ROUNDS && edges.some(({ length }) => length > 0); round++) {
    const counted = await count(runtime, scope, slabs, edges);
    edges = segments.map((segment, index) => {
      if (edges[index].length === 0) return edges[index];
      const own = counted[index];
      const windows = round > 0 && windowsAround(bins[index], cuts[index], own);
      bins[index] = own;
      cuts[index] = windows ? windowedRuns(own, windows) : optimalRuns(own, clusters);
      return finerEdges(own, cuts[index]);
    });
  }
  const initial = new Uint32Array(segments.length * clusters);
  for (const [index, segment] of segments.entries()) {
    const target = initial.subarray(index * clusters, (index + 1) * clusters);
    if (segment.distinct) {
      target.set(initialCentroids(segment, clusters, 'linear', 0));
      continue;
    }
    const means = runMeans(bins[index], cuts[index] ?? optimalRuns(bins[index], clusters));
    for (let j = 0; j < clusters; j++) target[j] = Math.round(means[Math.min(j, means.length - 1)]);
  }
  return initial;
}

/** Edges that cut the bins around every cut into pieces; none where those hold single values already. */
function finerEdges({ counts, sums, edges, ends }: EdgedBins, cuts: Uint32Array): Uint32Array {
  const found = [edges[0]];
  let mixed = false;
  for (const first of cuts.subarray(1)) {
    for (let bin = Math.max(0, first - REACH); bin < Math.min(counts.length, first + REACH); bin++) {
      const width = ends[bin] - edges[bin];
      const pieces = Math.min(PIECES, width);
      // All elements on the edge: a single value, and nothing left to find in it.
      mixed ||= sums[bin] > counts[bin] * edges[bin];
      for (let piece = 0; piece <= pieces; piece++)
        found.push(edges[bin] + Math.floor((width * piece) / pieces));
    }
  }
  return mixed ? distinctSorted(Uint32Array.from(found)) : new Uint32Array(0);
}

/** Where finer bins may begin a run: between the edges that coarser cuts reach. */
function windowsAround(coarse: EdgedBins, cuts: Uint32Array, fine: EdgedBins): [number, number][] {
  const size = fine.counts.length;
  const position = (edge: number) => {
    let low = 0;
    let high = size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (fine.edges[middle] < edge) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return [...cuts.subarray(1)].map((first) => {
    const low = coarse.edges[Math.max(0, first - REACH)];
    const high = coarse.ends[Math.min(coarse.counts.length, first + REACH) - 1];
    return [Math.max(1, position(low)), Math.min(size - 1, position(high))];
  });
}

async function count(
  runtime: Runtime,
  scope: Scope,
  slabs: readonly Slab[],
  edges: readonly Uint32Array[],
): Promise<EdgedBins[]> {
  const spans = new Uint32Array(edges.length * 2);
  const all = new Uint32Array(edges.reduce((total, { length }) => total + length, 0));
  let first = 0;
  for (const [index, own] of edges.entries()) {
    spans.set([first, own.length], index * 2);
    all.set(own, first);
    first += own.length;
  }
  const kernel = await histogram.create(runtime.device);
  const bins = scope.empty(all.length * 12, 'kmeans bins');
  const shared = { spans: scope.upload(spans), edges: scope.upload(all), bins };
  runtime.submit(
    slabs.map(({ fixed, chunks, chunkCount }) =>
      scope.keep(kernel.bind({ fixed, chunks, ...shared }, { chunkCount })),
    ),
  );
  const words = new Uint32Array(await runtime.read(bins));
  return edges.map((own, index) => {
    const base = spans[index * 2];
    const used = Uint32Array.from(own.keys()).filter((bin) => words[(base + bin) * 3] > 0);
    const counts = Float64Array.from(used, (bin) => words[(base + bin) * 3]);
    const sums = Float64Array.from(used, (bin, i) => {
      const [, low, high] = words.subarray((base + bin) * 3, (base + bin) * 3 + 3);
      return own[bin] * counts[i] + low + high * 2 ** 32;
    });
    const ends = used.map((bin) => (bin + 1 < own.length ? own[bin + 1] : FIXED_ZERO * 2));
    return { counts, sums, edges: used.map((bin) => own[bin]), ends };
  });
}

function sortedBins(sorted: Uint32Array): EdgedBins {
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

function distinctSorted(values: Uint32Array): Uint32Array {
  values.sort();
  return values.filter((value, i) => i === 0 || value !== values[i - 1]);
}
