import { check, LloydError } from '../gpu/errors.ts';
import { type Scale, scaleOf } from './kmeans-keys.ts';

/** Which elements share a codebook. */
export type KmeansGranularity =
  | 'perTensor'
  | { kind: 'perTensor' }
  | { kind: 'perGroup'; groupSize: number }
  | { kind: 'perAxis'; axis: number };

/** How a row-major tensor falls into groups: `group(i) = floor(i / groupStride) mod groups`. */
export interface Grouping {
  groups: number;
  groupStride: number;
}

/** Elements that share a codebook, and what their sums and the initial centroids need to know of them. */
export interface Segment {
  values: Float32Array;
  scale: Scale;
  min: number;
  max: number;
  /** Ascending distinct values where there are no more of them than clusters, else null. */
  distinct: Float32Array | null;
  /** Centroids to start from, ascending, in place of those that `init` chooses. */
  start?: Float32Array;
  /** Their keys, ascending, once somebody has sorted them. */
  sorted?: Uint32Array;
}

/** Resolves a granularity against a tensor's element count and shape. */
export function resolveGrouping(
  count: number,
  shape: readonly number[] | undefined,
  granularity: KmeansGranularity,
): Grouping {
  if (shape) {
    check(
      shape.every((size) => Number.isInteger(size) && size > 0) && product(shape) === count,
      `shape must be positive integers whose product is the ${count} weights given`,
      shape,
    );
  }
  const kind = typeof granularity === 'string' ? granularity : granularity?.kind;
  if (kind === 'perTensor') return { groups: 1, groupStride: count };
  if (kind === 'perGroup') {
    const { groupSize } = granularity as { groupSize: number };
    check(Number.isInteger(groupSize) && groupSize > 0, 'groupSize must be a positive integer', groupSize);
    return { groups: Math.ceil(count / groupSize), groupStride: Math.min(groupSize, count) };
  }
  check(
    kind === 'perAxis',
    "granularity must be 'perTensor', { kind: 'perGroup', groupSize } or { kind: 'perAxis', axis }",
    typeof granularity === 'string' ? granularity : kind,
  );
  const { axis } = granularity as { axis: number };
  check(shape, 'perAxis needs the shape of the weights', undefined, 'pass shape, or a Tensor with dims');
  check(
    Number.isInteger(axis) && axis >= -shape.length && axis < shape.length,
    `axis must be an integer from ${-shape.length} to ${shape.length - 1}`,
    axis,
  );
  const index = axis < 0 ? axis + shape.length : axis;
  return { groups: shape[index], groupStride: product(shape.slice(index + 1)) };
}

/** The groups as contiguous arrays: views where the tensor holds them so, gathered copies where it doesn't. */
export function splitGroups(values: Float32Array, { groups, groupStride }: Grouping): Float32Array[] {
  const repeats = Math.ceil(values.length / (groups * groupStride));
  return Array.from({ length: groups }, (_, group) => {
    if (repeats === 1) return values.subarray(group * groupStride, (group + 1) * groupStride);
    const gathered = new Float32Array(repeats * groupStride);
    for (let repeat = 0; repeat < repeats; repeat++) {
      const first = (repeat * groups + group) * groupStride;
      gathered.set(values.subarray(first, first + groupStride), repeat * groupStride);
    }
    return gathered;
  });
}

/** The inverse of {@link splitGroups} for codes. */
export function joinGroups(
  codes: readonly Uint8Array[],
  count: number,
  { groups, groupStride }: Grouping,
): Uint8Array {
  const joined = new Uint8Array(count);
  for (const [group, own] of codes.entries()) {
    for (let from = 0, to = group * groupStride; from < own.length; from += groupStride) {
      joined.set(own.subarray(from, from + groupStride), to);
      to += groups * groupStride;
    }
  }
  return joined;
}

/** Throws for the first value that is NaN or infinite. */
export function checkFinite(values: Float32Array, name: string): void {
  for (let i = 0; i < values.length; i++) {
    // A difference with itself is 0 for every finite number and NaN for the rest.
    if (values[i] - values[i] !== 0) {
      throw new LloydError(
        `${name} must be finite`,
        `${values[i]} at index ${i}`,
        'replace it before clustering; a NaN usually means that training diverged',
      );
    }
  }
}

/** Measures a segment of finite values. */
export function inspectSegment(values: Float32Array, clusters: number): Segment {
  let min = values[0];
  let max = values[0];
  for (let i = 1; i < values.length; i++) {
    const value = values[i];
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { values, scale: scaleOf(values), min, max, distinct: fewDistinct(values, clusters) };
}

function fewDistinct(values: Float32Array, most: number): Float32Array | null {
  const seen = new Set<number>();
  let last = Number.NaN;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === last) continue;
    last = values[i];
    seen.add(last);
    if (seen.size > most) return null;
  }
  // A set takes -0 for 0, and keeps whichever came first.
  return Float32Array.from(seen, (value) => value + 0).sort();
}

const product = (sizes: readonly number[]) => sizes.reduce((total, size) => total * size, 1);
