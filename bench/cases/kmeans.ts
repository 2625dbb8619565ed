import { fuseGraph } from '../../src/lower/fuse.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { type KmeansOptions, type KmeansResult, kmeansBatch } from '../../src/quantize/kmeans.ts';
import { joinBytes } from '../bytes.ts';
import type { BenchCase, BenchContext, Opened, Size } from '../types.ts';
import { hold } from './held.ts';
import { timedCalls } from './timed.ts';

/** Part of the VGG whose weights are clustered: all its layers, or the first of them. */
const SOURCES: Record<Size, { name: string; layers: number }> = {
  tiny: { name: 'vgg[0..1]', layers: 2 },
  quick: { name: 'vgg[0..3]', layers: 4 },
  standard: { name: 'vgg', layers: Infinity },
  gpu: { name: 'vgg', layers: Infinity },
};

const CLUSTERS = 16;
const ITERATIONS = 30;

/** k-means over all layers at once: Lloyd from the caller's side and on the GPU alone, and the global optimum. */
export function kmeansCases(size: Size): BenchCase[] {
  const { name, layers } = SOURCES[size];
  // Every layer runs all its iterations: one that settles early would save work that peers do.
  const lloyd: KmeansOptions = { clusters: CLUSTERS, init: 'linear', maxIterations: ITERATIONS };
  const subject = (open: (context: BenchContext) => Promise<Opened>, precision = 'kmeans-4') => [
    { implementation: 'lloyd' as const, precision, batch: 1, open },
  ];
  return [
    {
      name: `kmeans(${name},k=${CLUSTERS},iterations=${ITERATIONS})`,
      subjects: subject((context) => openWhole(context, layers, lloyd)),
      peers: { kind: 'kmeans', layers, clusters: CLUSTERS, iterations: ITERATIONS },
    },
    {
      name: `kmeans-iteration(${name},k=${CLUSTERS})`,
      subjects: subject((context) => openIteration(context, layers, lloyd)),
    },
    {
      name: `kmeans-optimal(${name},bits=4)`,
      subjects: subject((context) => openWhole(context, layers, { bits: 4, init: 'optimal' })),
    },
  ];
}

/** The weights of the first `layers` convolutions, each its own tensor. */
export function layerWeights(model: ImageModel, layers: number): Float32Array[] {
  return fuseGraph(model)
    .layers.flatMap((layer) => (layer.kind === 'conv2d' ? [layer.weight] : []))
    .slice(0, layers);
}

async function openWhole(context: BenchContext, layers: number, options: KmeansOptions): Promise<Opened> {
  const tensors = layerWeights(await context.model(), layers).map((weights) => ({ weights }));
  const elements = tensors.reduce((sum, { weights }) => sum + weights.length, 0);
  let results: KmeansResult[] = [];
  const run = async () => {
    results = await kmeansBatch(context.runtime, tensors, options);
  };
  return {
    work: { amount: elements * (options.init === 'optimal' ? 1 : ITERATIONS), unit: 'Mweights/s' },
    run,
    output: async () => joined(results),
    close: () => {},
  };
}

async function openIteration(context: BenchContext, layers: number, options: KmeansOptions): Promise<Opened> {
  const { runtime } = context;
  const tensors = layerWeights(await context.model(), layers).map((weights) => ({ weights }));
  const elements = tensors.reduce((sum, { weights }) => sum + weights.length, 0);
  const held = await hold(runtime, /kmeans-update/, (own) => kmeansBatch(own, tensors, options));
  // One submit holds several iterations; one of them ends with its update.
  const length = held.calls.findIndex(({ kernel }) => kernel === 'kmeans-update') + 1;
  const { stop, ...timed } = await timedCalls(runtime, held.calls.slice(0, length));
  return {
    ...timed,
    work: { amount: elements, unit: 'Mweights/s' },
    note: 'GPU time of one iteration, without transfers',
    async close() {
      stop();
      await held.release();
    },
  };
}

/** Codes and codebook bits of every tensor. */
const joined = (results: readonly KmeansResult[]) =>
  joinBytes(results.flatMap(({ codes, codebook }) => [codes, codebook]));
