import type { Runtime, Scope } from '../gpu/runtime.ts';
import { chooseEdges, countBins, distinctSorted, type EdgedBins, SORTED, sortedBins } from './kmeans-bins.ts';
import { optimalRuns, runMeans, windowedRuns } from './kmeans-dp.ts';
import { initialCentroids, strided } from './kmeans-init.ts';
import type { Slab } from './kmeans-lloyd.ts';
import type { Segment } from './kmeans-segments.ts';

/** Pieces that a refinement cuts each bin near a cut into, and how many bins to either side it looks at. */
const PIECES = 64;
const REACH = 2;

/** Counting settles in three or four rounds; cuts that wander from bin to bin end here. */
const ROUNDS = 8;

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
    if (!segment.distinct && segment.values.length > SORTED) return chooseEdges(segment);
    if (!segment.distinct) bins[index] = sortedBins(strided(segment, SORTED));
    return new Uint32Array(0);
  });
  for (let round = 0; round < ROUNDS && edges.some(({ length }) => length > 0); round++) {
    const counted = await countBins(runtime, scope, slabs, edges);
    edges = edges.map((asked, index) => {
      if (asked.length === 0) return asked;
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
