import type { Segment } from './kmeans-segments.ts';

/** Where Lloyd's algorithm starts from. */
export type KmeansInit = 'linear' | 'quantile' | 'random' | 'kmeans++' | 'optimal';

export const KMEANS_INITS: readonly KmeansInit[] = ['linear', 'quantile', 'random', 'kmeans++', 'optimal'];

/** Elements that `quantile` and `kmeans++` look at, evenly strided; enough for 64 a cluster at 8 bits. */
const SAMPLE = 16384;

/**
 * Initial centroids of one segment, ascending.
 *
 * A segment with no more distinct values than clusters starts, and ends, at exactly those values, the last repeated.
 * `linear` spreads the centroids evenly from the smallest to the largest value (Han, Mao & Dally 2016); `quantile`
 * takes the middles of equally many elements; `random` distinct elements (Forgy 1965); `kmeans++` draws each next
 * one with probability proportional to its squared distance from those drawn (Arthur & Vassilvitskii 2007).
 */
export function initialCentroids(
  segment: Segment,
  clusters: number,
  init: Exclude<KmeansInit, 'optimal'>,
  seed: number,
): Float32Array {
  const { distinct, min, max } = segment;
  if (distinct) return padded(distinct, clusters);
  if (init === 'linear') {
    const step = (max - min) / Math.max(1, clusters - 1);
    return Float32Array.from({ length: clusters }, (_, j) => min + j * step);
  }
  const random = mulberry32(seed);
  if (init === 'random') return drawn(segment, clusters, random);
  const sample = strided(segment, SAMPLE);
  return init === 'quantile' ? quantiles(sample, clusters) : plusPlus(sample, clusters, random);
}

/** Every n-th element of a segment, at most `size` of them, sorted. */
function strided({ values }: Segment, size: number): Float32Array {
  const count = Math.min(size, values.length);
  const sample = new Float32Array(count);
  // + 0: a -0 must not sort apart from 0.
  for (let i = 0; i < count; i++) sample[i] = values[Math.floor(((i + 0.5) * values.length) / count)] + 0;
  return sample.sort();
}

function quantiles(sorted: Float32Array, clusters: number): Float32Array {
  const distinct = ascending(sorted);
  const rank = new Map<number, number>([...distinct].map((value, index) => [value, index]));
  const chosen = new Float32Array(Math.min(clusters, distinct.length));
  let next = 0;
  for (let j = 0; j < chosen.length; j++) {
    // Quantiles of tied data repeat; every centroid takes a value of its own, leaving enough for those to come.
    const wanted = rank.get(sorted[Math.floor(((j + 0.5) * sorted.length) / clusters)]) as number;
    const index = Math.min(Math.max(wanted, next), distinct.length - (chosen.length - j));
    chosen[j] = distinct[index];
    next = index + 1;
  }
  return padded(chosen, clusters);
}

function drawn({ values }: Segment, clusters: number, random: () => number): Float32Array {
  const chosen = new Set<number>();
  // More than `clusters` distinct values exist; heavily tied data may still need many draws to meet them.
  for (let draw = 0; draw < 64 * clusters && chosen.size < clusters; draw++) {
    chosen.add(values[Math.floor(random() * values.length)] + 0);
  }
  return padded(Float32Array.from(chosen).sort(), clusters);
}

function plusPlus(sample: Float32Array, clusters: number, random: () => number): Float32Array {
  const distance = new Float64Array(sample.length).fill(Number.POSITIVE_INFINITY);
  const chosen: number[] = [sample[Math.floor(random() * sample.length)]];
  while (chosen.length < clusters) {
    const last = chosen[chosen.length - 1];
    let total = 0;
    for (let i = 0; i < sample.length; i++) {
      const apart = sample[i] - last;
      if (apart * apart < distance[i]) distance[i] = apart * apart;
      total += distance[i];
    }
    if (total === 0) break;
    let mark = random() * total;
    let index = 0;
    for (; index < sample.length - 1 && mark >= distance[index]; index++) mark -= distance[index];
    // The sum's last bits may carry the mark past the end, onto elements that are centroids already.
    while (distance[index] === 0) index -= 1;
    chosen.push(sample[index]);
  }
  return padded(Float32Array.from(chosen).sort(), clusters);
}

/** Distinct values of a sorted array. */
const ascending = (sorted: Float32Array) => sorted.filter((value, i) => i === 0 || value !== sorted[i - 1]);

/** Repeats the last value: equal centroids lose every tie to the first of them, so the repeats stay unused. */
function padded(values: Float32Array, clusters: number): Float32Array {
  const full = new Float32Array(clusters).fill(values[values.length - 1]);
  full.set(values);
  return full;
}

/** Tommy Ettinger's mulberry32: 32 bits of state, the same numbers on every machine. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
