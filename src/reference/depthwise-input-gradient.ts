import type { ConvGeometry } from './conv2d-int8.ts';
import { forEachDepthwiseProduct } from './depthwise-conv2d.ts';

/**
 * A depthwise convolution's gradient by its input, in float64: gradient NHWC, weights channels x ky x kx.
 *
 * @example
 * const inputGradient = depthwiseInputGradient(gradient, weights, geometry);
 */
export function depthwiseInputGradient(
  gradient: ArrayLike<number>,
  weights: ArrayLike<number>,
  geometry: ConvGeometry,
): Float64Array {
  const { batch, height, width, inChannels } = geometry;
  const result = new Float64Array(batch * height * width * inChannels);
  forEachDepthwiseProduct(geometry, (input, weight, output) => {
    result[input] += gradient[output] * weights[weight];
  });
  return result;
}
