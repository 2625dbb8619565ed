import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { codebookDecode } from '../kernels/codebook-decode.ts';
import { initialCentroids, KMEANS_INITS, type KmeansInit } from './kmeans-init.ts';
import { iterate, type KmeansTuning, uploadSlabs } from './kmeans-lloyd.ts';
import { optimalCentroids } from './kmeans-optimal.ts';
import {
  checkFinite,
  fromFixed,
  type Grouping,
  inspectSegment,
  joinGroups,
  type KmeansGranularity,
  resolveGrouping,
  type Segment,
  splitGroups,
} from './kmeans-segments.ts';

export type { KmeansGranularity, KmeansInit, KmeansTuning };

/** Options of {@link kmeans}. Give `bits` or `clusters`. */
export interface KmeansOptions {
  /** Width of a code, 1 to 8: 2^bits clusters. */
  bits?: number;
  /** Number of clusters, 2 to 256, where it should not be a power of two. */
  clusters?: number;
  /** Where to start; `'kmeans++'` unless given. `'optimal'` is the global optimum, and needs no seed. */
  init?: KmeansInit;
  /** Seed of `'random'` and `'kmeans++'`, an integer from 0 to 2^32 - 1; 0 unless given. */
  seed?: number;
  /** At most this many Lloyd iterations, 300 unless given. */
  maxIterations?: number;
  /**
   * Stop once no centroid moves by more than this fraction of the group's scale, the power of two above its largest
   * magnitude. 0, the default, iterates until nothing moves: each centroid is then the mean of its members.
   */
  tolerance?: number;
  /** Which elements share a codebook: all of them unless given. */
  granularity?: KmeansGranularity;
  /** Shape of the weights, which `perAxis` needs; a Tensor brings its own. */
  shape?: readonly number[];
  /** Sizes that change no result. */
  tuning?: KmeansTuning;
}

/** Codes, and the codebooks that give them a value. */
export interface KmeansResult {
  /** groups x clusters, ascending within each group; unused entries repeat the last used where values are too few. */
  codebook: Float32Array;
  /** One code an element, in the input's order. */
  codes: Uint8Array;
  /** Sum of squared differences between the weights and their centroids, added up in float64 in the input's order. */
  inertia: number;
  /** Lloyd iterations of the group that took most. */
  iterations: number;
  groups: number;
  clusters: number;
  /** The codebook of element i is `floor(i / groupStride) mod groups`. */
  groupStride: number;
}

/** Weights to cluster: float32 values, or a float32 or float16 tensor. */
export type KmeansWeights = Float32Array | Tensor;

/**
 * Clusters scalar weights around k centroids: Lloyd's algorithm on the GPU, or the global optimum.
 *
 * All arithmetic is in integers: weights become 25-bit fixed point once, by a power-of-two scale a group that keeps
 * the largest one exactly; sums, means (to nearest, ties to even) and midpoints stay integers. The same input gives
 * the same bits in every run, on every adapter. A weight exactly between two centroids takes the lower code; a
 * centroid that loses all its members stays where it is; -0 counts as 0.
 *
 * Source: S. P. Lloyd, Least squares quantization in PCM (1982); for `'optimal'` X. Wu, Optimal quantization by
 * matrix searching (1991); for `'kmeans++'` D. Arthur & S. Vassilvitskii (2007).
 *
 * @param weights n float32 values in any order, or a float32 or float16 tensor
 * @returns codes (n), codebook (groups x clusters) and how well they fit
 * @throws LloydError for no weights, a NaN or infinite one (with its index), bits or clusters out of range, an unknown
 *   init, or a shape that does not fit
 * @example
 * const { codebook, codes } = await kmeans(runtime, weights, { bits: 4, init: 'optimal' });
 * codebook[codes[0]]; // what weights[0] became
 */
export async function kmeans(
  runtime: Runtime,
  weights: KmeansWeights,
  options: KmeansOptions,
): Promise<KmeansResult> {
  const { shape, ...rest } = options ?? {};
  const [result] = await kmeansBatch(runtime, [{ weights, shape }], rest);
  return result;
}

/**
 * Clusters many tensors at once, each around its own centroids: one dispatch accumulates all groups of all tensors.
 *
 * @param tensors weights, with a shape where the granularity needs one
 * @returns a result a tensor, the same as {@link kmeans} gives for it alone
 * @throws LloydError as {@link kmeans} does, naming the tensor
 * @example
 * const layers = [{ weights: conv1 }, { weights: conv2 }];
 * const [first, second] = await kmeansBatch(runtime, layers, { bits: 4 });
 */
export async function kmeansBatch(
  runtime: Runtime,
  tensors: readonly { weights: KmeansWeights; shape?: readonly number[] }[],
  options: Omit<KmeansOptions, 'shape'>,
): Promise<KmeansResult[]> {
  const settings = resolveOptions(options);
  const { clusters } = settings;
  const inputs = tensors.map(({ weights, shape }, index) => {
    const name = tensors.length === 1 ? 'weights' : `weights of tensor ${index}`;
    const values = toFloat32(weights, name);
    check(values.length > 0, `${name} must have at least one element`, values.length);
    checkFinite(values, name);
    const dims = shape ?? ('dims' in weights ? weights.dims : undefined);
    return { values, grouping: resolveGrouping(values.length, dims, settings.granularity) };
  });
  const segments = inputs.flatMap(({ values, grouping }) =>
    splitGroups(values, grouping).map((group) => inspectSegment(group, clusters)),
  );
  const solved: Solved[] = [];
  for (const part of partition(runtime, segments, settings))
    solved.push(...(await solve(runtime, part, settings)));
  let first = 0;
  return inputs.map(({ values, grouping }) => {
    const own = solved.slice(first, first + grouping.groups);
    first += grouping.groups;
    return assemble(values, grouping, clusters, own);
  });
}

/**
 * The weights that codes stand for: `codebook[codes]`, looked up on the GPU.
 *
 * @param quantized codes (n) and codebook (groups x clusters) as {@link kmeans} returns them
 * @returns n float32 values, bit for bit those of the codebook
 * @throws LloydError where the codebook's length is not groups x clusters
 * @example
 * const approximate = await kmeansDequantize(runtime, await kmeans(runtime, weights, { bits: 4 }));
 */
export async function kmeansDequantize(
  runtime: Runtime,
  quantized: Pick<KmeansResult, 'codes' | 'codebook'> &
    Partial<Pick<KmeansResult, 'groups' | 'clusters' | 'groupStride'>>,
): Promise<Float32Array> {
  const { codes, codebook, groups = 1 } = quantized;
  const { clusters = codebook.length / groups, groupStride = Math.ceil(codes.length / groups) } = quantized;
  check(codes.length > 0, 'codes must have at least one element', codes.length);
  check(
    Number.isInteger(clusters) && clusters > 0 && codebook.length === groups * clusters,
    `codebook must have groups x clusters (${groups} x ${clusters}) entries`,
    codebook.length,
  );
  const bytes = Math.min(
    runtime.device.limits.maxStorageBufferBindingSize,
    runtime.device.limits.maxBufferSize,
  );
  // Pieces end where the pattern of groups starts again or, with one codebook, anywhere that is a multiple of 4.
  const period = groups === 1 ? 4 : groups * groupStride * 4;
  const most = Math.max(period, Math.floor(bytes / 4 / period) * period);
  const output = new Float32Array(codes.length);
  for (let at = 0; at < codes.length; at += most) {
    const own = codes.subarray(at, at + most);
    const decoded = await runtime.scope(async (scope) => {
      const kernel = await codebookDecode.create(runtime.device);
      const target = scope.empty(own.length * 4, 'decoded weights');
      const buffers = { codes: scope.upload(own), codebook: scope.upload(codebook), output: target };
      const params = { count: own.length, clusters, groups, groupStride };
      runtime.submit([scope.keep(kernel.bind(buffers, params))]);
      return runtime.read(target, own.length * 4);
    });
    output.set(new Float32Array(decoded), at);
  }
  return output;
}

interface Settings {
  clusters: number;
  init: KmeansInit;
  seed: number;
  maxIterations: number;
  tolerance: number;
  granularity: KmeansGranularity;
  tuning: KmeansTuning;
}

function resolveOptions(options: Omit<KmeansOptions, 'shape'>): Settings {
  const { bits, init = 'kmeans++', seed = 0, maxIterations = 300, tolerance = 0 } = options ?? {};
  const { granularity = 'perTensor', tuning = {} } = options ?? {};
  check(
    bits !== undefined || options?.clusters !== undefined,
    'kmeans needs bits (1 to 8) or clusters (2 to 256)',
    'neither',
  );
  if (bits !== undefined) {
    check(Number.isInteger(bits) && bits >= 1 && bits <= 8, 'bits must be an integer from 1 to 8', bits);
  }
  const clusters = options.clusters ?? 2 ** (bits as number);
  check(
    Number.isInteger(clusters) && clusters >= 2 && clusters <= 256,
    'clusters must be an integer from 2 to 256',
    clusters,
    'a code is at most 8 bits wide',
  );
  check(
    bits === undefined || clusters <= 2 ** bits,
    `${bits} bits number at most ${2 ** (bits ?? 0)} clusters`,
    clusters,
    'give bits or clusters, not both',
  );
  check(KMEANS_INITS.includes(init), `init must be one of ${KMEANS_INITS.join(', ')}`, init);
  check(
    Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32,
    'seed must be an integer from 0 to 2^32 - 1',
    seed,
  );
  check(
    Number.isInteger(maxIterations) && maxIterations >= 1,
    'maxIterations must be a positive integer',
    maxIterations,
  );
  check(tolerance >= 0 && tolerance <= 1, 'tolerance must be a number from 0 to 1', tolerance);
  return { clusters, init, seed, maxIterations, tolerance, granularity, tuning };
}

function toFloat32(weights: KmeansWeights, name: string): Float32Array {
  if (weights instanceof Float32Array) return weights;
  const data = weights?.data;
  if (weights?.dtype === 'float32' && data instanceof Float32Array) return data;
  check(
    weights?.dtype === 'float16' && data instanceof Uint16Array,
    `${name} must be a Float32Array, or a tensor of float32 (Float32Array) or float16 (Uint16Array)`,
    weights?.dtype ?? weights,
    'convert them to float32 first',
  );
  const values = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const exponent = (data[i] >>> 10) & 31;
    const significand = data[i] & 1023;
    const special = significand ? Number.NaN : Number.POSITIVE_INFINITY;
    const normal = (1024 + significand) * 2 ** (exponent - 25);
    const magnitude = exponent === 31 ? special : exponent === 0 ? significand * 2 ** -24 : normal;
    values[i] = data[i] >>> 15 ? -magnitude : magnitude;
  }
  return values;
}

interface Solved {
  codebook: Float32Array;
  codes: Uint8Array;
  iterations: number;
}

/** Runs of segments whose totals, and histograms where they are needed, fit one buffer. */
function* partition(
  { device }: Runtime,
  segments: readonly Segment[],
  { clusters, init }: Settings,
): Generator<Segment[]> {
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  let part: Segment[] = [];
  let bytes = 0;
  for (const segment of segments) {
    const bins = init === 'optimal' ? Math.min(segment.values.length, 65536) : 0;
    const own = 12 * Math.max(clusters, bins);
    if (part.length > 0 && bytes + own > limit) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(segment);
    bytes += own;
  }
  if (part.length > 0) yield part;
}

async function solve(runtime: Runtime, segments: readonly Segment[], settings: Settings): Promise<Solved[]> {
  const { clusters, init, seed, tuning } = settings;
  return runtime.scope(async (scope) => {
    const slabs = await uploadSlabs(runtime, scope, segments, tuning);
    let initial: Uint32Array;
    if (init === 'optimal') initial = await optimalCentroids(runtime, scope, segments, slabs, clusters);
    else {
      initial = new Uint32Array(segments.length * clusters);
      for (const [index, segment] of segments.entries()) {
        initial.set(initialCentroids(segment, clusters, init, seed), index * clusters);
      }
    }
    const { centroids, iterations, codes } = await iterate(
      runtime,
      scope,
      segments,
      slabs,
      initial,
      clusters,
      settings,
    );
    return segments.map(({ exponent }, index) => ({
      codebook: Float32Array.from(centroids.subarray(index * clusters, (index + 1) * clusters), (fixed) =>
        fromFixed(fixed, exponent),
      ),
      codes: codes[index],
      iterations: iterations[index],
    }));
  });
}

function assemble(
  values: Float32Array,
  grouping: Grouping,
  clusters: number,
  solved: readonly Solved[],
): KmeansResult {
  const { groups, groupStride } = grouping;
  const codebook = new Float32Array(groups * clusters);
  for (const [group, own] of solved.entries()) codebook.set(own.codebook, group * clusters);
  const codes = joinGroups(
    solved.map((own) => own.codes),
    values.length,
    grouping,
  );
  let inertia = 0;
  for (let first = 0, run = 0; first < values.length; first += groupStride, run++) {
    const base = (run % groups) * clusters;
    const end = Math.min(first + groupStride, values.length);
    for (let i = first; i < end; i++) {
      const apart = values[i] - codebook[base + codes[i]];
      inertia += apart * apart;
    }
  }
  const iterations = solved.reduce((most, own) => Math.max(most, own.iterations), 0);
  return { codebook, codes, inertia, iterations, groups, clusters, groupStride };
}
