import type { ChannelLayout } from './quantize-linear.ts';

/** Smallest and largest value of each segment. */
export interface Ranges {
  minimum: Float32Array;
  maximum: Float32Array;
}

/**
 * The CPU twin of `shaders/reduce-min-max.wgsl`: the range of each segment `(i / axisStride) % axisSize`.
 *
 * -0 counts as smaller than +0. A segment without elements has minimum Infinity and maximum -Infinity.
 *
 * @example
 * reduceMinMax(new Float32Array([1, -2, 3, 4]), { axisSize: 2, axisStride: 2 }); // [-2, 3] and [1, 4]
 */
export function reduceMinMax(input: Float32Array, { axisSize, axisStride }: ChannelLayout): Ranges {
  const minimum = new Float32Array(axisSize).fill(Number.POSITIVE_INFINITY);
  const maximum = new Float32Array(axisSize).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < input.length; i++) {
    const segment = Math.floor(i / axisStride) % axisSize;
    minimum[segment] = Math.min(minimum[segment], input[i]);
    maximum[segment] = Math.max(maximum[segment], input[i]);
  }
  return { minimum, maximum };
}
