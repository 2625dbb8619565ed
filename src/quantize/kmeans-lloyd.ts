import type { Call } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime, Scope } from '../gpu/runtime.ts';
import { kmeansAccumulate } from '../kernels/kmeans-accumulate.ts';
import { kmeansAccumulateWide } from '../kernels/kmeans-accumulate-wide.ts';
import { kmeansAssign } from '../kernels/kmeans-assign.ts';
import { kmeansFix } from '../kernels/kmeans-fix.ts';
import { kmeansUpdate } from '../kernels/kmeans-update.ts';
import { binnedStep } from './kmeans-binned.ts';
import type { KmeansInit } from './kmeans-init.ts';
import type { Segment } from './kmeans-segments.ts';

/** Sizes that change no result, only speed and memory; tests make them small. */
export interface KmeansTuning {
  workgroupSize?: 32 | 64 | 128 | 256;
  /** Elements of a chunk, a multiple of 4: the work of one workgroup. */
  chunkElements?: number;
  /** Elements of one buffer, a multiple of 4; more are split over several. */
  slabElements?: number;
  /** Adds up with a search and atomics for any number of clusters. */
  wide?: boolean;
  /** Sorts the elements into bins once, and then iterates without reading them; unless given, on software adapters. */
  binned?: boolean;
}

/** One buffer of elements in fixed point, and the chunks that its kernels run over. */
export interface Slab {
  fixed: GPUBuffer;
  chunks: GPUBuffer;
  chunkCount: number;
  elements: number;
  /** Which part of which segment lies where. */
  pieces: readonly Piece[];
}

interface Piece {
  segment: number;
  /** First element within the segment, first element within the slab, elements. */
  from: number;
  at: number;
  length: number;
}

/** Uploads segments and converts them to fixed point, in as few buffers as the adapter's limits allow. */
export async function uploadSlabs(
  runtime: Runtime,
  scope: Scope,
  segments: readonly Segment[],
  tuning: KmeansTuning,
): Promise<Slab[]> {
  const { device } = runtime;
  const { workgroupSize, chunkElements } = resolveTuning(runtime, tuning);
  const bytes = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const slabElements = tuning.slabElements ?? Math.floor(bytes / 16) * 4;
  check(
    slabElements % 4 === 0 && chunkElements % 4 === 0,
    'slabElements and chunkElements must be multiples of 4',
    [slabElements, chunkElements],
  );
  const fix = await kmeansFix.create(device, { WORKGROUP_SIZE: workgroupSize });
  const exponents = scope.upload(
    Uint32Array.from(segments, ({ exponent }) => exponent),
    'kmeans exponents',
  );
  return layOut(segments, slabElements).map(({ pieces, elements }) => {
    const table = pieces.flatMap(({ segment, at, length }) => {
      const rows: number[] = [];
      for (let first = at; first < at + length; first += chunkElements) {
        rows.push(segment, first, Math.min(first + chunkElements, at + length), 0);
      }
      return rows;
    });
    const chunks = scope.upload(Uint32Array.from(table), 'kmeans chunks');
    const chunkCount = table.length / 4;
    const fixed = scope.empty(elements * 4, 'kmeans elements');
    writePieces(device, fixed, segments, pieces, elements);
    const call = scope.keep(fix.bind({ exponents, chunks, elements: fixed }, { chunkCount }));
    runtime.submit([call]);
    return { fixed, chunks, chunkCount, elements, pieces };
  });
}

function layOut(segments: readonly Segment[], slabElements: number): { pieces: Piece[]; elements: number }[] {
  const slabs: { pieces: Piece[]; elements: number }[] = [];
  let slab = { pieces: [] as Piece[], elements: 0 };
  for (const [segment, { values }] of segments.entries()) {
    for (let from = 0; from < values.length; ) {
      if (slab.elements === slabElements || slabs.length === 0) {
        slab = { pieces: [], elements: 0 };
        slabs.push(slab);
      }
      const length = Math.min(values.length - from, slabElements - slab.elements);
      slab.pieces.push({ segment, from, at: slab.elements, length });
      slab.elements += Math.ceil(length / 4) * 4;
      from += length;
    }
  }
  return slabs;
}

function writePieces(
  { queue }: GPUDevice,
  target: GPUBuffer,
  segments: readonly Segment[],
  pieces: readonly Piece[],
  elements: number,
): void {
  const part = ({ segment, from, length }: Piece) => segments[segment].values.subarray(from, from + length);
  // Few pieces go straight from the caller's arrays; thousands of small groups are gathered into one write.
  if (pieces.length <= 64) {
    for (const piece of pieces)
      queue.writeBuffer(target, piece.at * 4, part(piece) as Float32Array<ArrayBuffer>);
    return;
  }
  const gathered = new Float32Array(elements);
  for (const piece of pieces) gathered.set(part(piece), piece.at);
  queue.writeBuffer(target, 0, gathered);
}

/** Steps recorded before the host looks whether anything still moves: few at first, as small sets settle soon. */
const STEPS_A_SUBMIT = [4, 8, 16];

/**
 * Lloyd's algorithm over every segment at once, from ascending fixed-point centroids: a dispatch to accumulate and one to
 * update an iteration, many iterations a submit, one word read back between submits.
 */
export async function iterate(
  runtime: Runtime,
  scope: Scope,
  segments: readonly Segment[],
  slabs: readonly Slab[],
  initial: Uint32Array,
  clusters: number,
  options: { init: KmeansInit; maxIterations: number; tolerance: number; tuning: KmeansTuning },
): Promise<{ centroids: Uint32Array; iterations: Uint32Array; codes: Uint8Array[] }> {
  const { device } = runtime;
  const count = segments.length;
  const { workgroupSize } = resolveTuning(runtime, options.tuning);
  const centroids = scope.upload(initial, 'kmeans centroids');
  const done = scope.empty(count * 4, 'kmeans done');
  const iterations = scope.empty(count * 4, 'kmeans iterations');
  const totals = scope.empty(initial.length * 12, 'kmeans totals');
  const remaining = scope.upload(Uint32Array.of(count), 'kmeans remaining');

  const state = { centroids, done, totals };
  const step = worthBinning(runtime, slabs, count, options)
    ? await binnedStep(runtime, scope, segments, slabs, state, clusters)
    : await directStep(runtime, scope, slabs, state, clusters, options.tuning);
  const size = [32, 64, 128, 256].find((lanes) => lanes >= clusters) as number;
  const update = await kmeansUpdate.create(device, { WORKGROUP_SIZE: size });
  const params = { segments: count, clusters, tolerance: Math.floor(options.tolerance * 2 ** 24) };
  step.push(scope.keep(update.bind({ totals, centroids, done, iterations, remaining }, params)));

  for (let taken = 0, round = 0; taken < options.maxIterations; round++) {
    const steps = Math.min(
      STEPS_A_SUBMIT[Math.min(round, STEPS_A_SUBMIT.length - 1)],
      options.maxIterations - taken,
    );
    runtime.submit(Array.from({ length: steps }, () => step).flat());
    taken += steps;
    const [moving] = new Uint32Array(await runtime.read(remaining));
    if (moving === 0) break;
  }

  const assign = await kmeansAssign.create(device, { WORKGROUP_SIZE: workgroupSize });
  const codes: Uint8Array[] = [];
  for (const { fixed, chunks, chunkCount, elements } of slabs) {
    const output = runtime.empty(elements, 'kmeans codes');
    const call = assign.bind({ fixed, centroids, chunks, codes: output }, { chunkCount, clusters });
    runtime.submit([call]);
    codes.push(new Uint8Array(await runtime.read(output)));
    output.destroy();
    call.destroy();
  }
  return {
    centroids: new Uint32Array(await runtime.read(centroids)),
    iterations: new Uint32Array(await runtime.read(iterations)),
    codes: collect(slabs, codes, count),
  };
}

/** One pass over the elements an iteration. */
async function directStep(
  runtime: Runtime,
  scope: Scope,
  slabs: readonly Slab[],
  state: { centroids: GPUBuffer; done: GPUBuffer; totals: GPUBuffer },
  clusters: number,
  tuning: KmeansTuning,
): Promise<Call[]> {
  const WORKGROUP_SIZE = resolveTuning(runtime, tuning).workgroupSize;
  const count = tuning.wide ? undefined : [1, 3, 7, 15].find((thresholds) => clusters <= thresholds + 1);
  const accumulate = count
    ? await kmeansAccumulate.create(runtime.device, { WORKGROUP_SIZE, THRESHOLDS: `${count}u` })
    : await kmeansAccumulateWide.create(runtime.device, { WORKGROUP_SIZE });
  return slabs.map(({ fixed, chunks, chunkCount }) =>
    scope.keep(accumulate.bind({ fixed, chunks, ...state }, { chunkCount, clusters })),
  );
}

/**
 * Binning costs some ten passes on a software adapter, and a readback, for which a GPU could do hundreds. It is out for
 * many small segments, which a pass reads as fast as their bins, and for starts that are optimal and settle at once.
 */
function worthBinning(
  { adapter }: Runtime,
  slabs: readonly Slab[],
  segments: number,
  { init, maxIterations, tuning }: { init: KmeansInit; maxIterations: number; tuning: KmeansTuning },
): boolean {
  const [{ elements }] = slabs;
  if (slabs.length > 1 || elements > 2 ** 28) return false;
  if (tuning.binned !== undefined) return tuning.binned;
  const worth = adapter.profile === 'cpu' && init !== 'optimal' && maxIterations > 16;
  return worth && !tuning.wide && elements / segments >= 4096;
}

function collect(slabs: readonly Slab[], codes: readonly Uint8Array[], segments: number): Uint8Array[] {
  const parts: Uint8Array[][] = Array.from({ length: segments }, () => []);
  for (const [index, { pieces }] of slabs.entries()) {
    for (const { segment, at, length } of pieces) parts[segment].push(codes[index].subarray(at, at + length));
  }
  return parts.map((own) => {
    if (own.length === 1) return own[0];
    const joined = new Uint8Array(own.reduce((total, part) => total + part.length, 0));
    let at = 0;
    for (const part of own) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  });
}

/** A GPU wants many small chunks to fill itself; a software adapter few large ones, as its threads are few. */
function resolveTuning({ adapter }: Runtime, tuning: KmeansTuning) {
  const cpu = adapter.profile === 'cpu';
  return {
    workgroupSize: tuning.workgroupSize ?? (cpu ? 64 : 256),
    chunkElements: tuning.chunkElements ?? (cpu ? 65536 : 16384),
  };
}
