import type { ImageShape } from './graph.ts';

/** A value as the convolution kernels see it: images of channels, whatever its rank. */
export interface ImageView extends ImageShape {
  batch: number;
}

/** dims with `axis` as channels: the first other dimension is the batch, the next the height, the rest the width. */
export function imageOf(dims: readonly number[], axis: number): ImageView {
  const others = dims.filter((_, i) => i !== axis);
  const [batch = 1, height = 1, ...rest] = others.length === 2 ? [others[0], 1, others[1]] : others;
  return { batch, height, width: rest.reduce((a, b) => a * b, 1), channels: dims[axis] ?? 1 };
}
