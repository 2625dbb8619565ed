import { check } from '../../gpu/errors.ts';

/** Row-major strides. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = dims.map(() => 1);
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * dims[i + 1];
  return strides;
}

/**
 * The dims that all of `shapes` broadcast to, as numpy does.
 *
 * @throws LloydError where sizes differ and neither is 1.
 */
export function broadcastDims(label: string, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((dims) => dims.length));
  const result = Array<number>(rank).fill(1);
  for (const dims of shapes) {
    for (const [i, size] of dims.entries()) {
      const at = rank - dims.length + i;
      check(
        size === result[at] || size === 1 || result[at] === 1,
        `${label} ${shapes.map((shape) => `[${shape}]`).join(' and ')} must broadcast`,
        `${result[at]} against ${size}`,
      );
      if (size !== 1) result[at] = size;
    }
  }
  return result;
}

/** Strides of a tensor of `dims` along the axes of `full`: 0 where it is repeated. */
export function broadcastStrides(dims: readonly number[], full: readonly number[]): number[] {
  const own = stridesOf(dims);
  const missing = full.length - dims.length;
  return full.map((_, i) => (i < missing || dims[i - missing] === 1 ? 0 : own[i - missing]));
}

/** Axes of a loop over elements, the innermost first. */
export interface Axes {
  sizes: number[];
  /** Per operand: its stride along each axis. */
  strides: number[][];
}

/** Leaves out axes of size 1 and joins neighbours that lie behind each other in every operand. */
export function mergeAxes(dims: readonly number[], strides: readonly (readonly number[])[]): Axes {
  const merged: Axes = { sizes: [], strides: strides.map(() => []) };
  for (let i = dims.length - 1; i >= 0; i--) {
    if (dims[i] === 1) continue;
    const last = merged.sizes.length - 1;
    const joins =
      last >= 0 && strides.every((own, k) => own[i] === merged.strides[k][last] * merged.sizes[last]);
    if (joins) merged.sizes[last] *= dims[i];
    else {
      merged.sizes.push(dims[i]);
      for (const [k, own] of strides.entries()) merged.strides[k].push(own[i]);
    }
  }
  return merged;
}
