import { optimalRuns, type Points, runCosts } from './kmeans-dp.ts';
import { valueOfKey } from './kmeans-keys.ts';
import type { Segment } from './kmeans-segments.ts';
import { sortedKeys } from './kmeans-sorted.ts';
import type { Pause } from './pause.ts';

/**
 * Centroids at the global optimum, ascending: of all codebooks of `clusters` float32 numbers, one with the least squared
 * error, whatever finite values the segment holds.
 */
export async function optimalCentroids(
  segment: Segment,
  clusters: number,
  pause: Pause,
): Promise<Float32Array> {
  const centroids = new Float32Array(clusters);
  if (segment.distinct) {
    centroids.set(segment.distinct);
    return centroids.fill(segment.distinct[segment.distinct.length - 1], segment.distinct.length);
  }
  const costs = runCosts(pointsOf(sortedKeys(segment)));
  const begins = await optimalRuns(costs, clusters, pause);
  for (let run = 0; run < clusters; run++) {
    centroids[run] = costs.mean(begins[run], run + 1 < clusters ? begins[run + 1] : costs.size);
  }
  return centroids;
}

function pointsOf(sorted: Uint32Array): Points {
  let size = 0;
  for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) size += 1;
  const values = new Float32Array(size);
  const counts = new Float64Array(size);
  let point = -1;
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[i - 1]) values[++point] = valueOfKey(sorted[i]);
    counts[point] += 1;
  }
  return { values, counts };
}
