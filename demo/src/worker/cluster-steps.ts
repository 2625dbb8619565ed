import { kmeans } from 'lloyd';
import type { Calls, ClusterStep, ClusterSteps } from '../protocol.ts';
import type { Context } from './main.ts';

const MOST_STEPS = 24;

/** The state of k-means after each of its iterations: the same run, stopped ever later. */
export async function clusterSteps(
  { values, ...options }: Calls['clusterSteps']['request'],
  { state: { runtime }, signal }: Context<'clusterSteps'>,
): Promise<ClusterSteps> {
  const steps: ClusterStep[] = [];
  for (let maxIterations = 1; maxIterations <= MOST_STEPS; maxIterations++) {
    signal.throwIfAborted();
    const result = await kmeans(runtime, values, { ...options, maxIterations });
    const { codebook, codes, inertia, iterations } = result;
    // Once an iteration moves nothing, a later stop changes nothing either.
    const moved = steps.at(-1)?.codebook.some((centroid, i) => centroid !== codebook[i]) ?? true;
    if (iterations < maxIterations || !moved) break;
    steps.push({ codebook, codes, inertia });
  }
  const best = await kmeans(runtime, values, { clusters: options.clusters, init: 'optimal' });
  if (steps.length === 0) steps.push(best);
  return { steps, optimum: best.inertia };
}
