import { check } from '../gpu/errors.ts';
import type { Call } from '../gpu/kernel.ts';
import type { Runtime, Scope } from '../gpu/runtime.ts';
import { kmeansAccumulate } from '../kernels/kmeans-accumulate.ts';
import { kmeansAccumulateWide } from '../kernels/kmeans-accumulate-wide.ts';
import { kmeansAssign } from '../kernels/kmeans-assign.ts';
import { kmeansFix } from '../kernels/kmeans-fix.ts';
import { kmeansUpdate } from '../kernels/kmeans-update.ts';
import type { Segment } from './kmeans-segments.ts';

/** Sizes that change no result, only speed and memory; tests make them small. */
export interface KmeansTuning {
  workgroupSize?: 32 | 64 | 128 | 256;
  /** Elements of a chunk, a multiple of 4: the work of one workgroup. */
  chunkElements?: number;
  /** Elements of one buffer, a multiple of 4; more are split over several. */
  slabElements?: number;
  /** Takes the binary search and its atomics for any number of clusters. */
  wide?: boolean;
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
    const [only] = pieces;
    const whole =
      pieces.length === 1 && segments[only.segment].values.subarray(only.from, only.from + only.length);
    const values = runtime.upload(whole || gather(segments, pieces, elements), 'kmeans weights');
    const fixed = scope.empty(elements * 4, 'kmeans fixed');
    const call = fix.bind({ values, exponents, chunks, fixed }, { chunkCount });
    runtime.submit([call]);
    // Submitted work keeps what it needs; the weights' memory goes back before the iterations start.
    values.destroy();
    call.destroy();
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

function gather(segments: readonly Segment[], pieces: readonly Piece[], elements: number): Float32Array {
  const gathered = new Float32Array(elements);
  for (const { segment, from, at, length } of pieces) {
    gathered.set(segments[segment].values.subarray(from, from + length), at);
  }
  return gathered;
}

/** Steps recorded before the host looks whether anything still moves: few at first, as small sets settle soon. */
const STEPS_A_SUBMIT = [4, 8, 16];

/**
 * Lloyd's algorithm over every segment at once, from ascending fixed-point centroids: a dispatch a slab to accumulate
 * and one to update, many iterations a submit, one word read back between submits.
 */
export async function iterate(
  runtime: Runtime,
  scope: Scope,
  slabs: readonly Slab[],
  initial: Uint32Array,
  clusters: number,
  options: { maxIterations: number; tolerance: number; tuning: KmeansTuning },
): Promise<{ centroids: Uint32Array; iterations: Uint32Array; codes: Uint8Array[] }> {
  const { device } = runtime;
  const segments = initial.length / clusters;
  const { workgroupSize } = resolveTuning(runtime, options.tuning);
  const centroids = scope.upload(initial, 'kmeans centroids');
  const done = scope.empty(segments * 4, 'kmeans done');
  const iterations = scope.empty(segments * 4, 'kmeans iterations');
  const totals = scope.empty(initial.length * 12, 'kmeans totals');
  const remaining = scope.upload(Uint32Array.of(segments), 'kmeans remaining');

  const narrow = clusters <= 16 && !options.tuning.wide;
  const THRESHOLDS = [1, 3, 7, 15].find((count) => clusters <= count + 1);
  const accumulate = narrow
    ? await kmeansAccumulate.create(device, { WORKGROUP_SIZE: workgroupSize, THRESHOLDS: `${THRESHOLDS}u` })
    : await kmeansAccumulateWide.create(device, { WORKGROUP_SIZE: workgroupSize });
  const step: Call[] = slabs.map(({ fixed, chunks, chunkCount }) =>
    scope.keep(accumulate.bind({ fixed, centroids, done, chunks, totals }, { chunkCount, clusters })),
  );
  const size = [32, 64, 128, 256].find((lanes) => lanes >= clusters) as number;
  const update = await kmeansUpdate.create(device, { WORKGROUP_SIZE: size });
  const tolerance = Math.floor(options.tolerance * 2 ** 24);
  const params = { segments, clusters, tolerance: Math.min(tolerance, 2 ** 25) };
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
    codes: collect(slabs, codes, segments),
  };
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
