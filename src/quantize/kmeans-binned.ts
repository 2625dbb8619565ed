import type { Call } from '../gpu/call.ts';
import type { Runtime, Scope } from '../gpu/runtime.ts';
import { kmeansGroup } from '../kernels/kmeans-group.ts';
import { kmeansTotals } from '../kernels/kmeans-totals.ts';
import { chooseEdges, countBins, type EdgedBins, firstsOf, joinEdges, lookUpTables } from './kmeans-bins.ts';
import type { Slab } from './kmeans-lloyd.ts';
import { FIXED_ZERO, type Segment } from './kmeans-segments.ts';

/** In place of a position in `grouped`: all elements of the bin equal its edge, and need not be looked at. */
const SINGLE = 2 ** 32 - 1;

/**
 * Bins every segment once and returns the call that adds up members from the bins, in place of a pass over the
 * elements: the same totals, bit for bit, and so the same iterations.
 */
export async function binnedStep(
  runtime: Runtime,
  scope: Scope,
  segments: readonly Segment[],
  slabs: readonly Slab[],
  state: { centroids: GPUBuffer; done: GPUBuffer; totals: GPUBuffer },
  clusters: number,
): Promise<Call[]> {
  const bins = await countBins(runtime, scope, slabs, segments.map(chooseEdges));
  const { spans: joinedSpans, all } = joinEdges(bins.map(withEndMark));
  const { prefixes, starts, mixed } = prefixSums(bins, all.length);
  const spans = scope.upload(joinedSpans, 'kmeans spans');
  const edges = scope.upload(all, 'kmeans edges');
  const grouped = scope.empty(Math.max(1, mixed) * 4, 'kmeans grouped');
  if (mixed > 0) {
    const group = await kmeansGroup.create(runtime.device);
    const cursors = scope.upload(starts, 'kmeans cursors');
    const tables = lookUpTables(
      bins.map((own) => own.edges),
      firstsOf(joinedSpans),
    );
    const shared = {
      ranges: scope.upload(tables.ranges),
      cells: scope.upload(tables.cells),
      edges,
      cursors,
      grouped,
    };
    runtime.submit(
      slabs.map(({ fixed, chunks, chunkCount }) =>
        scope.keep(group.bind({ fixed, chunks, ...shared }, { chunkCount })),
      ),
    );
  }
  const kernel = await kmeansTotals.create(runtime.device);
  const buffers = { ...state, spans, edges, prefixes: scope.upload(prefixes, 'kmeans prefixes'), grouped };
  return [scope.keep(kernel.bind(buffers, { segments: segments.length, clusters }))];
}

/** A bin above every element, so that the prefix sums at its edge are the segment's totals. */
function withEndMark({ edges }: EdgedBins): Uint32Array {
  const marked = new Uint32Array(edges.length + 1).fill(2 * FIXED_ZERO);
  marked.set(edges);
  return marked;
}

function prefixSums(
  bins: readonly EdgedBins[],
  length: number,
): { prefixes: Uint32Array; starts: Uint32Array; mixed: number } {
  const prefixes = new Uint32Array(length * 4);
  const starts = new Uint32Array(length).fill(SINGLE);
  let mixed = 0;
  let at = 0;
  for (const { counts, sums, edges } of bins) {
    let count = 0;
    let sum = 0;
    for (let bin = 0; bin <= counts.length; bin++, at++) {
      // Exact in float64: elements are below 2^25, and no more than 2^28 of them.
      if (bin < counts.length && sums[bin] > counts[bin] * edges[bin]) {
        starts[at] = mixed;
        mixed += counts[bin];
      }
      prefixes[at * 4] = count;
      prefixes[at * 4 + 1] = sum % 2 ** 32;
      prefixes[at * 4 + 2] = sum / 2 ** 32;
      prefixes[at * 4 + 3] = starts[at];
      if (bin < counts.length) {
        count += counts[bin];
        sum += sums[bin];
      }
    }
  }
  return { prefixes, starts, mixed };
}
