import { layerWeights } from '../cases/kmeans.ts';
import type { BenchContext, Opened, PeerWork, Subject } from '../types.ts';

type KmeansWork = Extract<PeerWork, { kind: 'kmeans' }>;

/** About how many weights a JavaScript library clusters in a second or two; all 9.2 million would take minutes. */
const MOST_WEIGHTS = 300_000;

/**
 * k-means by JavaScript libraries on the CPU, from evenly spaced centroids as ours. Their cost is linear in the weights,
 * so they run on every n-th weight of each layer, and the time is multiplied by n; the entry says so.
 */
export function kmeansPeers(work: KmeansWork): Subject[] {
  return (['ml-kmeans', 'skmeans'] as const).map((implementation) => ({
    implementation,
    precision: 'kmeans-4',
    batch: 1,
    open: (context) => openPeer(context, implementation, work),
  }));
}

async function openPeer(
  context: BenchContext,
  implementation: 'ml-kmeans' | 'skmeans',
  { layers, clusters, iterations }: KmeansWork,
): Promise<Opened> {
  const weights = layerWeights(await context.model(), layers);
  const elements = weights.reduce((sum, { length }) => sum + length, 0);
  const stride = Math.max(1, Math.ceil(elements / MOST_WEIGHTS));
  const parts = weights.map((own) => {
    const values = Array.from({ length: Math.ceil(own.length / stride) }, (_, i) => own[i * stride]);
    return { values, centroids: linearCentroids(values, clusters) };
  });
  const factor = elements / parts.reduce((sum, { values }) => sum + values.length, 0);
  const cluster = await loadPeer(implementation, iterations);
  const prepared = parts.map((part) => cluster(part.values, part.centroids));
  const run = async () => {
    const start = performance.now();
    for (const work of prepared) work();
    return (performance.now() - start) * factor;
  };
  return {
    work: { amount: elements * iterations, unit: 'Mweights/s' },
    run,
    gpuTime: run,
    note: stride > 1 ? `timed on one weight in ${stride} and multiplied by ${factor.toFixed(2)}` : undefined,
    close: () => {},
  };
}

type Cluster = (values: number[], centroids: number[]) => () => unknown;

async function loadPeer(implementation: 'ml-kmeans' | 'skmeans', iterations: number): Promise<Cluster> {
  if (implementation === 'ml-kmeans') {
    const { kmeans } = await import('ml-kmeans');
    return (values, centroids) => {
      const rows = values.map((value) => [value]);
      const initialization = centroids.map((value) => [value]);
      // A negative tolerance never counts as converged, so that all iterations run.
      const options = { initialization, maxIterations: iterations, tolerance: -1 };
      return () => kmeans(rows, centroids.length, options);
    };
  }
  const { default: skmeans } = await import('skmeans');
  return (values, centroids) => () => skmeans(values, centroids.length, [...centroids], iterations);
}

function linearCentroids(values: readonly number[], clusters: number): number[] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return Array.from({ length: clusters }, (_, i) => low + ((high - low) * i) / (clusters - 1));
}
