import { check } from '../gpu/errors.ts';

/** Which elements share a scale: all of them, those of one index of `axis`, or `groupSize` neighbours. */
export interface GranularityOptions {
  /** Row-major shape of the tensor; one dimension unless given. */
  shape?: readonly number[];
  /** One scale an index of this axis, or with `groupSize` the axis that is cut into groups. Negative: from the end. */
  axis?: number;
  /**
   * One scale for so many neighbours, of the flattened tensor or along `axis` (ONNX's blocked quantization); the last
   * group is shorter where it does not divide.
   */
  groupSize?: number;
}

/** How a tensor falls into segments that share a scale. */
export interface Granularity {
  kind: 'perTensor' | 'perAxis' | 'perGroup';
  shape: readonly number[];
  /** Elements in all. */
  count: number;
  /** Not negative; null where no axis was given. */
  axis: number | null;
  groupSize: number | null;
  /** The tensor as [outer, axisLength, inner] around the axis (flattened groups: [1, count, 1]). */
  outer: number;
  axisLength: number;
  inner: number;
  /** True where the last group is shorter than the others. */
  ragged: boolean;
  /** How the kernels find element i's scale: `(i / axisStride) % axisSize`, after `gather` where that is set. */
  axisSize: number;
  axisStride: number;
  /** Groups along an axis that are not contiguous and equal: the kernels see them gathered. */
  gathered: boolean;
  /** The scales' shape. */
  scaleShape: readonly number[];
}

/**
 * Resolves shape, axis and group size against a number of elements.
 *
 * @throws LloydError for no elements, a shape that does not multiply to them, an axis out of range or a group size
 *   that is not a positive integer.
 * @example
 * resolveGranularity(512 * 2304, { shape: [512, 256, 3, 3], axis: 0 }); // axisSize 512, axisStride 2304
 */
export function resolveGranularity(count: number, options: GranularityOptions): Granularity {
  check(count > 0, 'the tensor must hold at least one element', count, 'skip empty tensors');
  const { shape = [count], groupSize } = options;
  check(
    shape.length > 0 && shape.every((size) => Number.isInteger(size) && size > 0) && product(shape) === count,
    `shape must be positive integers whose product is the number of elements, ${count}`,
    shape,
  );
  if (groupSize !== undefined) {
    check(Number.isInteger(groupSize) && groupSize > 0, 'groupSize must be a positive integer', groupSize);
  }
  const { axis: given } = options;
  if (given !== undefined) {
    const rule = `axis must be an integer from ${-shape.length} to ${shape.length - 1}`;
    check(Number.isInteger(given) && given >= -shape.length && given < shape.length, rule, given);
  }
  const axis = given === undefined ? null : given < 0 ? given + shape.length : given;
  const common = { shape, count, axis, groupSize: groupSize ?? null, gathered: false };

  if (axis === null) {
    const whole = { ...common, outer: 1, axisLength: count, inner: 1 };
    if (groupSize === undefined) {
      return { ...whole, kind: 'perTensor', ragged: false, axisSize: 1, axisStride: count, scaleShape: [1] };
    }
    const groups = Math.ceil(count / groupSize);
    const ragged = count % groupSize !== 0;
    const axisStride = Math.min(groupSize, count);
    return { ...whole, kind: 'perGroup', ragged, axisSize: groups, axisStride, scaleShape: [groups] };
  }

  const axisLength = shape[axis];
  const outer = product(shape.slice(0, axis));
  const inner = product(shape.slice(axis + 1));
  const around = { ...common, outer, axisLength, inner };
  if (groupSize === undefined) {
    return {
      ...around,
      kind: 'perAxis',
      ragged: false,
      axisSize: axisLength,
      axisStride: inner,
      scaleShape: [axisLength],
    };
  }
  const blocks = Math.ceil(axisLength / groupSize);
  const ragged = axisLength % groupSize !== 0;
  return {
    ...around,
    kind: 'perGroup',
    ragged,
    axisSize: outer * blocks * inner,
    axisStride: Math.min(groupSize, axisLength),
    gathered: inner > 1 || (ragged && blocks > 1),
    scaleShape: shape.map((size, i) => (i === axis ? blocks : size)),
  };
}

/** Where element `within` of group `segment` lies in the tensor, or -1 past the end of a ragged group. */
function groupIndex(g: Granularity, segment: number, within: number): number {
  const blocks = Math.ceil(g.axisLength / g.axisStride);
  const n = segment % g.inner;
  const rest = Math.floor(segment / g.inner);
  const along = (rest % blocks) * g.axisStride + within;
  return along < g.axisLength ? (Math.floor(rest / blocks) * g.axisLength + along) * g.inner + n : -1;
}

/** Brings each group's elements together; a ragged group is filled up with its first element, which moves no range. */
export function gatherGroups<T extends Float32Array | Int8Array | Uint8Array>(g: Granularity, data: T): T {
  const gathered = new (data.constructor as new (length: number) => T)(g.axisSize * g.axisStride);
  for (let i = 0; i < gathered.length; i++) {
    const segment = Math.floor(i / g.axisStride);
    const from = groupIndex(g, segment, i % g.axisStride);
    gathered[i] = data[from < 0 ? groupIndex(g, segment, 0) : from];
  }
  return gathered;
}

/** The inverse of {@link gatherGroups}. */
export function scatterGroups<T extends Float32Array | Int8Array | Uint8Array>(
  g: Granularity,
  gathered: T,
): T {
  const data = new (gathered.constructor as new (length: number) => T)(g.count);
  for (let i = 0; i < gathered.length; i++) {
    const to = groupIndex(g, Math.floor(i / g.axisStride), i % g.axisStride);
    if (to >= 0) data[to] = gathered[i];
  }
  return data;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}
