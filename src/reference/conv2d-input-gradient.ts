import { forEachTap } from './conv-windows.ts';
import type { ConvGeometry } from './conv2d-int8.ts';

/**
 * Visits every product of a convolution with one group: indices of its input (NHWC), weight (OIHW) and output (NHWC).
 *
 * @example
 * forEachProduct(geometry, (input, weight, output) => { result[output] += x[input] * w[weight]; });
 */
export function forEachProduct(
  geometry: ConvGeometry,
  visit: (input: number, weight: number, output: number) => void,
): void {
  const { inChannels, outChannels, kernel } = geometry;
  const taps = kernel[0] * kernel[1];
  forEachTap(geometry, (pixel, tap, window) => {
    for (let c = 0; c < inChannels; c++) {
      for (let o = 0; o < outChannels; o++) {
        visit(pixel * inChannels + c, (o * inChannels + c) * taps + tap, window * outChannels + o);
      }
    }
  });
}

/**
 * A convolution's gradient by its input, in float64: gradient NHWC, weights OIHW, one group.
 *
 * @example
 * const inputGradient = conv2dInputGradient(gradient, weights, geometry);
 */
export function conv2dInputGradient(
  gradient: ArrayLike<number>,
  weights: ArrayLike<number>,
  geometry: ConvGeometry,
): Float64Array {
  const { batch, height, width, inChannels } = geometry;
  const result = new Float64Array(batch * height * width * inChannels);
  forEachProduct(geometry, (input, weight, output) => {
    result[input] += gradient[output] * weights[weight];
  });
  return result;
}
