import { readTuning, writeTuning } from '#default-device';
import { type Int8Choice, type KernelPreference, prepareKernels } from '../conv/kernel-choice.ts';
import type { ConvTile } from '../conv/tile.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import { type ConvLayer, type FusedGraph, fuseGraph } from '../lower/fuse.ts';
import type { KernelChooser } from '../lower/lower.ts';
import { convGeometry, convMacs, weightShape } from '../lower/lower-conv.ts';
import { lowerModel } from '../lower/lower-model.ts';
import type { Model } from '../model/graph.ts';
import { type CodebookLayer, isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { fingerprint, floatCandidates, fnv1a, int8Candidates } from '../tune/candidates.ts';
import { type Candidate, pickCandidate } from '../tune/pick.ts';
import { openTuningCache, type StoredPick, type TuningStore } from '../tune/store.ts';
import { isolateSteps } from './isolate.ts';

/** How {@link compile} looks for faster kernels. */
export interface TuneOptions {
  /** Time to spend on what is not known yet, in milliseconds (default 10 000). */
  budgetMs?: number;
  /** Where picks are kept instead of the cache folder (Node) or IndexedDB (browser). */
  store?: TuningStore;
  /** Told of each class of layers as it is settled. */
  onPick?(pick: TunedLayers): void;
  signal?: AbortSignal;
}

/** Layers of one shape and the kernel that they were given. */
export interface TunedLayers {
  layers: readonly string[];
  /** Kernel, tile and splits. */
  choice: string;
  milliseconds: number;
  /** Of the library's own choice, in the same measurement. */
  defaultMilliseconds: number;
  source: 'measured' | 'remembered';
  /** Candidates timed now, and those that failed or computed something else. */
  timed: number;
  refused: readonly string[];
}

interface LayerClass {
  key: string;
  layers: ConvLayer[];
  macs: number;
}

/** The choice for any layer, of either kind: what they share is all that the tuner looks at. */
type Choice = Int8Choice | ConvTile;

/** Floats are summed in the same order by every candidate; a compiler may still fuse a multiply and an add. */
const FLOAT_TOLERANCE = 1e-5;
const BUDGET_MS = 10_000;

const defaultStore: TuningStore = { read: readTuning, write: writeTuning };

/**
 * Measures the kernels that could run a model's layers, one class of layers after the other, those with the most work
 * first, within a budget of time; what an earlier run has measured on this adapter is remembered.
 *
 * @param batch images a forward pass, as the model will be compiled for
 * @param kernels a family to stay in; what another family won is not used
 * @returns choices for the lowering; a class that the budget did not reach keeps the library's own
 * @throws the signal's reason when it fires, a DeviceLostError when the device is lost; what was measured until then is
 *   remembered
 */
export async function tuneKernels(
  runtime: Runtime,
  model: Model | QuantizedModel,
  batch: number,
  { budgetMs = BUDGET_MS, store = defaultStore, onPick, signal }: TuneOptions = {},
  kernels?: KernelPreference,
  shapes?: ShapeOptions,
): Promise<KernelChooser> {
  check(budgetMs >= 0, 'tune.budgetMs must be 0 or more milliseconds', budgetMs);
  const integer = isQuantized(model) && model.method === 'linear';
  if (integer) await prepareKernels(runtime, kernels);
  const keyOf = (layer: ConvLayer) => classKey(layer, model, kernels);
  const fused = fuseGraph(isQuantized(model) ? model.model : model, { batch, shapes });
  const classes = classesOf(fused, keyOf);
  const cache = await openTuningCache(runtime, store);
  const picks = new Map<string, Choice>();
  const open: {
    own: LayerClass;
    /** Stands for the candidates of the class, all of them in order. */
    list: string;
    candidates: Candidate<Choice>[];
    tried: number;
    again: number;
  }[] = [];
  for (const own of classes) {
    const [layer] = own.layers;
    const shape = weightShape(layer);
    const pixelCount = pixelsOf(layer);
    const all: Candidate<Choice>[] = integer
      ? int8Candidates(runtime, pixelCount, shape, kernels, convGeometry(layer))
      : floatCandidates(runtime, pixelCount, shape, kernels, convGeometry(layer));
    const [first, ...others] = all;
    const list = fnv1a(all.map(({ label }) => label).join('\n'));
    const stored = cache.get(own.key);
    const known = [first, ...others].find(({ label }) => label === stored?.label);
    // Another list, of another device or number of pixels, is in another order: the search begins anew.
    const tried = stored && known && stored.list === list ? stored.tried : 0;
    if (stored && known) {
      picks.set(own.key, known.choice);
      onPick?.({ ...describe(own, stored), source: 'remembered', timed: 0, refused: [] });
    }
    // Where time ran out before, the search goes on with the best so far beside the default.
    const rest = others.slice(tried).filter((candidate) => candidate !== known);
    if (rest.length === 0) continue;
    const best = known && known !== first ? [known] : [];
    open.push({ own, list, candidates: [first, ...best, ...rest], tried, again: best.length });
  }
  let left = open.reduce((sum, { own }) => sum + own.macs, 0);
  const end = performance.now() + budgetMs;
  try {
    for (const { own, list, candidates, tried, again } of open) {
      signal?.throwIfAborted();
      const now = performance.now();
      if (now >= end) break;
      // Each class gets the share of the remaining time that it has of the remaining work.
      const deadline = now + ((end - now) * own.macs) / left;
      left -= own.macs;
      const [layer] = own.layers;
      const picked = await pickCandidate(runtime, {
        candidates,
        deadline,
        // At least one that is new, so that every run brings the search forward.
        least: 2 + again,
        signal,
        agrees: integer ? undefined : closeFloats,
        async prepare(choice) {
          const choose = { int8: () => choice as Int8Choice, float: () => choice };
          const lowered = await lowerModel(runtime, model, batch, { choose, only: layer.name, shapes });
          return isolateSteps(runtime, lowered.steps);
        },
      });
      const { candidate, milliseconds, defaultMilliseconds, timed, refused } = picked;
      picks.set(own.key, candidate.choice);
      const more = timed + refused.length - 1 - again;
      const pick = { label: candidate.label, list, tried: tried + more, milliseconds, defaultMilliseconds };
      cache.set(own.key, pick);
      onPick?.({ ...describe(own, pick), source: 'measured', timed, refused });
    }
  } finally {
    // Whatever ends the search: what was measured is measured.
    await cache.save();
  }
  const find = (layer: ConvLayer) => picks.get(keyOf(layer));
  return {
    int8: (layer) => (find(layer) as Int8Choice | undefined) ?? null,
    float: (layer) => find(layer) ?? null,
  };
}

function describe({ layers }: LayerClass, { label, milliseconds, defaultMilliseconds }: StoredPick) {
  return { layers: layers.map(({ name }) => name), choice: label, milliseconds, defaultMilliseconds };
}

/** Layers that the same kernel would suit, most work first. */
function classesOf({ layers }: FusedGraph, keyOf: (layer: ConvLayer) => string): LayerClass[] {
  const classes = new Map<string, LayerClass>();
  for (const layer of layers) {
    if (layer.kind !== 'conv2d') continue;
    const key = keyOf(layer);
    const own = classes.get(key) ?? { key, layers: [], macs: 0 };
    own.layers.push(layer);
    own.macs += convMacs(layer);
    classes.set(key, own);
  }
  return [...classes.values()].sort((a, b) => b.macs - a.macs);
}

const pixelsOf = ({ batch, outputShape, pool }: ConvLayer) =>
  batch * outputShape.height * outputShape.width * (pool ? 4 : 1);

/**
 * A class of layers in words: all that its candidates, and how fast they are, depend on. Numbers of pixels share it up
 * to the next power of two.
 */
function classKey(
  layer: ConvLayer,
  model: Model | QuantizedModel,
  kernels: KernelPreference = 'auto',
): string {
  const { inputShape, outputShape, convShape, kernel, strides, dilations, groups, pool } = layer;
  const pixels = 2 ** Math.ceil(Math.log2(pixelsOf(layer)));
  return [
    numbersOf(layer, model),
    `${kernel.join('x')} ${inputShape.channels}->${outputShape.channels}`,
    `stride ${strides.join('x')} dilation ${dilations.join('x')} groups ${groups}${pool ? ' pool' : ''}`,
    `${pixels} pixels${convShape.height % 2 || convShape.width % 4 ? '' : ' in blocks'}`,
    `of ${kernels}`,
    `kernels ${fingerprint()}`,
  ].join(', ');
}

/** Types and encodings of what a layer computes with. */
function numbersOf({ name }: ConvLayer, model: Model | QuantizedModel): string {
  if (!isQuantized(model)) return 'float32';
  const weights = model.layers.get(name);
  if (model.method === 'linear') return `int8, linear ${weights?.bits} bit, ${model.requantize}`;
  if (!weights) return 'float32';
  const { groups = 1 } = weights as CodebookLayer;
  return `float32, ${weights.method} ${weights.bits} bit, ${groups} codebook${groups === 1 ? '' : 's'}`;
}

function closeFloats(output: ArrayBuffer, expected: ArrayBuffer): boolean {
  const [a, b] = [new Float32Array(output), new Float32Array(expected)];
  let [error, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    error += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  // Written so that a NaN fails.
  return a.length === b.length && Math.sqrt(error) <= FLOAT_TOLERANCE * Math.sqrt(norm);
}
