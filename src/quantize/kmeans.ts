import { check } from '../gpu/errors.ts';
import {
  checkGpuTensor,
  type GpuTensor,
  gpuBytes,
  isGpuTensor,
  readGpuTensor,
  scopeThatLeaves,
} from '../gpu/gpu-tensor.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import { codebookDecode } from '../kernels/codebook-decode.ts';
import { initialCentroids, type KmeansInit } from './kmeans-init.ts';
import { iterate, type KmeansTuning, uploadSlabs } from './kmeans-lloyd.ts';
import { optimalCentroids } from './kmeans-optimal.ts';
import {
  type KmeansOptions,
  type KmeansSettings,
  type KmeansWeights,
  resolveOptions,
  toFloat32,
} from './kmeans-options.ts';
import {
  checkFinite,
  type Grouping,
  inspectSegment,
  joinGroups,
  type KmeansGranularity,
  resolveGrouping,
  type Segment,
  splitGroups,
} from './kmeans-segments.ts';
import { createPause, type Pause } from './pause.ts';

export type { KmeansGranularity, KmeansInit, KmeansOptions, KmeansTuning, KmeansWeights };

/**
 * Codes, and the codebooks that give them a value. Of weights on the GPU the codes lie there, one a byte, in a buffer that
 * is the caller's to destroy.
 */
export interface KmeansResult<Codes = Uint8Array> {
  /** groups x clusters, ascending within each group; unused entries repeat the last used where values are too few. */
  codebook: Float32Array;
  /** One code an element, in the input's order. */
  codes: Codes;
  /** Sum of squared differences between the weights and their centroids, added up in float64 in the input's order. */
  inertia: number;
  /** Lloyd iterations of the group that took most. */
  iterations: number;
  groups: number;
  clusters: number;
  /** The codebook of element i is `floor(i / groupStride) mod groups`. */
  groupStride: number;
}

/**
 * Clusters scalar weights around k centroids: Lloyd's algorithm on the GPU, or the global optimum.
 *
 * All arithmetic is exact, in integers as wide as the weights need: every weight goes to its nearest centroid, every
 * centroid to the float32 nearest to the mean of its members (ties to even), and that is all that is ever rounded,
 * whatever finite values lie side by side. The same input gives the same bits in every run, on every adapter. A weight
 * exactly between two centroids takes the lower code; a centroid that loses all its members stays where it is; -0
 * counts as 0. From any start the codebooks of all groups together fit no worse than one for the whole tensor would.
 *
 * Source: S. P. Lloyd, Least squares quantization in PCM (1982); for `'optimal'` X. Wu, Optimal quantization by
 * matrix searching (1991); for `'kmeans++'` D. Arthur & S. Vassilvitskii (2007).
 *
 * Weights on the GPU are read back once, as starts and sums want to know them, and their codes are left there.
 *
 * @param weights n float32 values in any order, or a float32 or float16 tensor, or a float32 one on the GPU
 * @returns codes (n), codebook (groups x clusters) and how well they fit
 * @throws LloydError for no weights, a NaN or infinite one (with its index), bits or clusters out of range, an unknown
 *   init, or a shape that does not fit; the reason of `signal`, once it has fired
 * @example
 * const { codebook, codes } = await kmeans(runtime, weights, { bits: 4, init: 'optimal' });
 * codebook[codes[0]]; // what weights[0] became
 */
export async function kmeans(
  runtime: Runtime,
  weights: KmeansWeights,
  options: KmeansOptions,
): Promise<KmeansResult>;
export async function kmeans(
  runtime: Runtime,
  weights: GpuTensor,
  options: KmeansOptions,
): Promise<KmeansResult<GPUBuffer>>;
export async function kmeans(
  runtime: Runtime,
  weights: KmeansWeights | GpuTensor,
  options: KmeansOptions,
): Promise<KmeansResult | KmeansResult<GPUBuffer>> {
  const { shape, ...rest } = options ?? {};
  if (isGpuTensor(weights)) return onGpu(runtime, weights, options);
  const [result] = await kmeansBatch(runtime, [{ weights, shape }], rest);
  return result;
}

/** Clusters what lies on the GPU, and leaves the codes there. */
async function onGpu(
  runtime: Runtime,
  weights: GpuTensor,
  options: KmeansOptions,
): Promise<KmeansResult<GPUBuffer>> {
  checkRuntime(runtime);
  const count = checkGpuTensor('weights', weights, 'float32');
  return scopeThatLeaves(runtime, async ({ leave }) => {
    const values = new Float32Array(await readGpuTensor(runtime, weights));
    const { codes, ...rest } = await kmeans(runtime, values, { shape: weights.dims, ...options });
    const words = new Uint8Array(gpuBytes('uint8', count));
    words.set(codes);
    const buffer = leave(words.length, 'codes');
    runtime.write(buffer, words);
    return { ...rest, codes: buffer };
  });
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
  checkRuntime(runtime);
  const settings = resolveOptions(options);
  const { clusters } = settings;
  const pause = createPause(settings.signal);
  await pause();
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
  const solved = await solveAll(runtime, segments, settings, pause);
  if (settings.init !== 'optimal') await improveGroups(runtime, inputs, segments, solved, settings, pause);
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
  checkRuntime(runtime);
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

interface Solved {
  codebook: Float32Array;
  codes: Uint8Array;
  iterations: number;
}

interface Input {
  values: Float32Array;
  grouping: Grouping;
}

/**
 * Where the codebooks of a tensor's groups fit worse than one codebook for all does, starts those groups again from that
 * one which it fits better: other starts than the optimum find some fixed point or other, and a group has every choice
 * that the tensor has.
 */
async function improveGroups(
  runtime: Runtime,
  inputs: readonly Input[],
  segments: readonly Segment[],
  solved: Solved[],
  settings: KmeansSettings,
  pause: Pause,
): Promise<void> {
  const grouped = inputs.filter(({ grouping }) => grouping.groups > 1);
  const tensors = grouped.map(({ values }) => inspectSegment(values, settings.clusters));
  const wholes = await solveAll(runtime, tensors, settings, pause);
  const again: { index: number; segment: Segment }[] = [];
  let first = 0;
  for (const input of inputs) {
    const whole = wholes[grouped.indexOf(input)];
    if (whole) {
      const shared = splitGroups(meanings(whole), input.grouping);
      const errors = shared.map((values, group) => ({
        index: first + group,
        own: squaredError(segments[first + group].values, meanings(solved[first + group])),
        shared: squaredError(segments[first + group].values, values),
      }));
      if (sum(errors.map(({ own }) => own)) > sum(errors.map((error) => error.shared))) {
        for (const { index, own, shared: other } of errors)
          if (other < own) again.push({ index, segment: { ...segments[index], start: whole.codebook } });
      }
      await pause();
    }
    first += input.grouping.groups;
  }
  const restarted = again.map(({ segment }) => segment);
  const better = await solveAll(runtime, restarted, settings, pause);
  for (const [i, { index }] of again.entries()) solved[index] = better[i];
}

const meanings = ({ codes, codebook }: Solved) => Float32Array.from(codes, (code) => codebook[code]);

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function squaredError(values: Float32Array, others: Float32Array): number {
  let error = 0;
  for (let i = 0; i < values.length; i++) {
    const apart = values[i] - others[i];
    error += apart * apart;
  }
  return error;
}

async function solveAll(
  runtime: Runtime,
  segments: readonly Segment[],
  settings: KmeansSettings,
  pause: Pause,
): Promise<Solved[]> {
  const solved: Solved[] = [];
  for (const part of partition(runtime, segments, settings))
    solved.push(...(await solve(runtime, part, settings, pause)));
  return solved;
}

/** Runs of segments whose totals fit one buffer. */
function* partition(
  { device }: Runtime,
  segments: readonly Segment[],
  { clusters }: KmeansSettings,
): Generator<Segment[]> {
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  let part: Segment[] = [];
  let planes = 1;
  for (const segment of segments) {
    const most = Math.max(planes, segment.scale.planes);
    if (part.length > 0 && (part.length + 1) * clusters * most * 12 > limit) {
      yield part;
      part = [];
      planes = 1;
    }
    part.push(segment);
    planes = Math.max(planes, segment.scale.planes);
  }
  if (part.length > 0) yield part;
}

async function solve(
  runtime: Runtime,
  segments: readonly Segment[],
  settings: KmeansSettings,
  pause: Pause,
): Promise<Solved[]> {
  const { clusters, init, seed, tuning } = settings;
  return runtime.scope(async (scope) => {
    const slabs = await uploadSlabs(runtime, scope, segments, tuning);
    const initial = new Float32Array(segments.length * clusters);
    for (const [index, segment] of segments.entries()) {
      await pause();
      const own =
        init === 'optimal'
          ? await optimalCentroids(segment, clusters, pause)
          : (segment.start ?? initialCentroids(segment, clusters, init, seed));
      initial.set(own, index * clusters);
    }
    const { centroids, iterations, codes } = await iterate(
      runtime,
      scope,
      segments,
      slabs,
      initial,
      clusters,
      settings,
      pause,
    );
    return segments.map((_, index) => ({
      codebook: centroids.slice(index * clusters, (index + 1) * clusters),
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
