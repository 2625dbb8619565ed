import { forEachProduct } from './conv2d-input-gradient.ts';
import type { ConvGeometry } from './conv2d-int8.ts';

/**
 * A convolution's gradient by its weights, OIHW, in float64: input and gradient NHWC, one group.
 *
 * @example
 * const weightGradient = conv2dFilterGradient(input, gradient, geometry);
 */
export function conv2dFilterGradient(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  geometry: ConvGeometry,
): Float64Array {
  const { inChannels, outChannels, kernel } = geometry;
  const result = new Float64Array(outChannels * inChannels * kernel[0] * kernel[1]);
  forEachProduct(geometry, (at, weight, output) => {
    result[weight] += input[at] * gradient[output];
  });
  return result;
}
