import type { Call } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime, Scope } from '../gpu/runtime.ts';
import { kmeansAccumulate } from '../kernels/kmeans-accumulate.ts';
import { kmeansAccumulateWide } from '../kernels/kmeans-accumulate-wide.ts';
import { kmeansAssign } from '../kernels/kmeans-assign.ts';
import { kmeansKeys } from '../kernels/kmeans-keys.ts';
import { kmeansUpdate } from '../kernels/kmeans-update.ts';
import type { KmeansInit } from './kmeans-init.ts';
import { thresholdsOf, valueOfKey } from './kmeans-keys.ts';
import type { Segment } from './kmeans-segments.ts';
import { sortedStep } from './kmeans-sorted.ts';
import type { Pause } from './pause.ts';

/** Sizes that change no result, only speed and memory; tests make them small. */
export interface KmeansTuning {
  workgroupSize?: 32 | 64 | 128 | 256;
  /** Elements of a chunk, a multiple of 4: the work of one workgroup. */
  chunkElements?: number;
  /** Elements of one buffer, a multiple of 4; more are split over several. */
  slabElements?: number;
  /** Adds up with a search and atomics for any number of clusters. */
  wide?: boolean;
  /** Sorts the elements once, and then iterates without reading them; unless given, on software adapters. */
  sorted?: boolean;
}

/** One buffer of elements as keys, and the chunks that its kernels run over. */
export interface Slab {
  keys: GPUBuffer;
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

/** What the iterations read and change, for all segments together. */
export interface LloydState {
  /** Planes of `totals`: those of the segment that needs most. */
  planes: number;
  scales: GPUBuffer;
  thresholds: GPUBuffer;
  done: GPUBuffer;
  totals: GPUBuffer;
}

/** Uploads segments and turns them into keys, in as few buffers as the adapter's limits allow. */
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
  const toKeys = await kmeansKeys.create(device, { WORKGROUP_SIZE: workgroupSize });
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
    const keys = scope.empty(elements * 4, 'kmeans keys');
    writePieces(runtime, keys, segments, pieces, elements);
    runtime.submit([scope.keep(toKeys.bind({ chunks, elements: keys }, { chunkCount }))]);
    return { keys, chunks, chunkCount, elements, pieces };
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
  runtime: Runtime,
  target: GPUBuffer,
  segments: readonly Segment[],
  pieces: readonly Piece[],
  elements: number,
): void {
  const part = ({ segment, from, length }: Piece) => segments[segment].values.subarray(from, from + length);
  // Few pieces go straight from the caller's arrays; thousands of small groups are gathered into one write.
  if (pieces.length <= 64) {
    for (const piece of pieces) runtime.write(target, part(piece), piece.at * 4);
    return;
  }
  const gathered = new Float32Array(elements);
  for (const piece of pieces) gathered.set(part(piece), piece.at);
  runtime.write(target, gathered);
}

/** Steps recorded before the host looks whether anything still moves: few at first, as small sets settle soon. */
const STEPS_A_SUBMIT = [4, 8, 16];

/**
 * Lloyd's algorithm over every segment at once, from ascending centroids: dispatches to accumulate and one to update an
 * iteration, many iterations a submit, one word read back between submits.
 */
export async function iterate(
  runtime: Runtime,
  scope: Scope,
  segments: readonly Segment[],
  slabs: readonly Slab[],
  initial: Float32Array,
  clusters: number,
  options: { init: KmeansInit; maxIterations: number; tolerance: number; tuning: KmeansTuning },
  pause: Pause,
): Promise<{ centroids: Float32Array; iterations: Uint32Array; codes: Uint8Array[] }> {
  const { device } = runtime;
  const count = segments.length;
  const { workgroupSize } = resolveTuning(runtime, options.tuning);
  const start = thresholdsOf(initial, clusters);
  const centroids = scope.upload(start.centroids, 'kmeans centroids');
  const thresholds = scope.upload(start.thresholds, 'kmeans thresholds');
  const planes = segments.reduce((most, { scale }) => Math.max(most, scale.planes), 1);
  const rows = segments.flatMap(({ scale: { unit, planes, largest } }) => [unit, planes, largest, 0]);
  const scales = scope.upload(Uint32Array.from(rows), 'kmeans scales');
  const done = scope.empty(count * 4, 'kmeans done');
  const iterations = scope.empty(count * 4, 'kmeans iterations');
  const totals = scope.empty(initial.length * planes * 12, 'kmeans totals');
  const remaining = scope.upload(Uint32Array.of(count), 'kmeans remaining');

  const state = { planes, scales, thresholds, done, totals };
  const step = worthSorting(runtime, segments, options)
    ? await sortedStep(runtime, scope, segments, state, clusters, pause)
    : await directStep(runtime, scope, slabs, state, clusters, options.tuning);
  const size = [32, 64, 128, 256].find((lanes) => lanes >= clusters) as number;
  const update = await kmeansUpdate.create(device, { WORKGROUP_SIZE: size });
  const params = { segments: count, clusters, planes, tolerance: Math.floor(options.tolerance * 2 ** 24) };
  const moving = { scales, totals, centroids, thresholds, done, iterations, remaining };
  step.push(scope.keep(update.bind(moving, params)));

  for (let taken = 0, round = 0; taken < options.maxIterations; round++) {
    const steps = Math.min(
      STEPS_A_SUBMIT[Math.min(round, STEPS_A_SUBMIT.length - 1)],
      options.maxIterations - taken,
    );
    runtime.submit(Array.from({ length: steps }, () => step).flat());
    taken += steps;
    const [left] = new Uint32Array(await runtime.read(remaining));
    await pause();
    if (left === 0) break;
  }

  const assign = await kmeansAssign.create(device, { WORKGROUP_SIZE: workgroupSize });
  const codes: Uint8Array[] = [];
  for (const { keys, chunks, chunkCount, elements } of slabs) {
    const own = await runtime.scope(async ({ empty, keep }) => {
      const output = empty(elements, 'kmeans codes');
      const buffers = { keys, thresholds, chunks, codes: output };
      runtime.submit([keep(assign.bind(buffers, { chunkCount, clusters }))]);
      return new Uint8Array(await runtime.read(output));
    });
    codes.push(own);
    await pause();
  }
  return {
    centroids: Float32Array.from(new Uint32Array(await runtime.read(centroids)), valueOfKey),
    iterations: new Uint32Array(await runtime.read(iterations)),
    codes: collect(slabs, codes, count),
  };
}

/** One pass over the elements an iteration and plane. */
async function directStep(
  runtime: Runtime,
  scope: Scope,
  slabs: readonly Slab[],
  { planes, ...state }: LloydState,
  clusters: number,
  tuning: KmeansTuning,
): Promise<Call[]> {
  const WORKGROUP_SIZE = resolveTuning(runtime, tuning).workgroupSize;
  const count = tuning.wide ? undefined : [1, 3, 7, 15].find((thresholds) => clusters <= thresholds + 1);
  const accumulate = count
    ? await kmeansAccumulate.create(runtime.device, { WORKGROUP_SIZE, THRESHOLDS: `${count}u` })
    : await kmeansAccumulateWide.create(runtime.device, { WORKGROUP_SIZE });
  return Array.from({ length: planes }, (_, plane) =>
    slabs.map(({ keys, chunks, chunkCount }) =>
      scope.keep(accumulate.bind({ keys, chunks, ...state }, { chunkCount, clusters, planes, plane })),
    ),
  ).flat();
}

/**
 * Sorting on the host costs a software adapter some ten passes over the elements, for which a GPU could do hundreds; where
 * the optimum has sorted them already it costs nothing.
 */
function worthSorting(
  { adapter, device }: Runtime,
  segments: readonly Segment[],
  { init, maxIterations, tuning }: { init: KmeansInit; maxIterations: number; tuning: KmeansTuning },
): boolean {
  const elements = segments.reduce((total, { values }) => total + values.length, 0);
  const bytes = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  if (elements * 4 > bytes || elements > 2 ** 28) return false;
  if (tuning.sorted !== undefined) return tuning.sorted;
  return !tuning.wide && (init === 'optimal' || (adapter.profile === 'cpu' && maxIterations > 8));
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
