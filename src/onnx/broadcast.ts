import type { Tensor } from '../gpu/tensor.ts';
import { broadcastDims } from '../graph/ops/layout.ts';
import { sizeOf } from '../graph/ops/tensors.ts';

/** numpy's broadcasting of two shapes. */
export interface Broadcast {
  dims: number[];
  /** The shapes with leading ones, as long as `dims`. */
  a: number[];
  b: number[];
}

/**
 * The shape that two shapes broadcast to.
 *
 * @param label what they are, for the message.
 * @throws LloydError where sizes differ and neither is 1.
 */
export function broadcast(label: string, aDims: readonly number[], bDims: readonly number[]): Broadcast {
  const dims = broadcastDims(label, [aDims, bDims]);
  const aligned = (own: readonly number[]) => [...Array<number>(dims.length - own.length).fill(1), ...own];
  return { dims, a: aligned(aDims), b: aligned(bDims) };
}

/** Where element `index` of a tensor of `full` dimensions lies in one of `dims`, whose 1s are repeated. */
export function broadcastIndex(index: number, full: readonly number[], dims: readonly number[]): number {
  let result = 0;
  let stride = 1;
  let rest = index;
  for (let i = full.length - 1; i >= 0; i--) {
    if (dims[i] > 1) result += (rest % full[i]) * stride;
    stride *= dims[i];
    rest = Math.floor(rest / full[i]);
  }
  return result;
}

/**
 * A tensor of shape `dims` for a kernel that reads element i of the result at i % length: its data as they are where
 * only leading dimensions are repeated, else repeated in full.
 */
export function repeatInner(
  { data }: Tensor,
  dims: readonly number[],
  full: readonly number[],
): Tensor['data'] {
  const first = dims.findIndex((size) => size !== 1);
  if (first < 0 || dims.every((size, i) => i < first || size === full[i])) return data;
  return new (data.constructor as new (length: number) => Tensor['data'])(sizeOf(full)).map(
    (_, i) => data[broadcastIndex(i, full, dims)],
  );
}
