import type { ConvGeometry } from './conv2d-int8.ts';
import { forEachDepthwiseProduct } from './depthwise-conv2d.ts';

/**
 * A depthwise convolution's gradient by its weights, channels x ky x kx, in float64: input and gradient NHWC.
 *
 * @example
 * const weightGradient = depthwiseFilterGradient(input, gradient, geometry);
 */
export function depthwiseFilterGradient(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  geometry: ConvGeometry,
): Float64Array {
  const result = new Float64Array(geometry.inChannels * geometry.kernel[0] * geometry.kernel[1]);
  forEachDepthwiseProduct(geometry, (at, weight, output) => {
    result[weight] += input[at] * gradient[output];
  });
  return result;
}
