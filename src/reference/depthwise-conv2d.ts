import { forEachTap } from './conv-windows.ts';
import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

/**
 * Visits every product of a depthwise convolution: indices of its input (NHWC), weight (output channels, ky, kx) and
 * output. An input channel has as many output channels, one after the other, as there are for each.
 *
 * @example
 * forEachDepthwiseProduct(geometry, (input, weight, output) => { result[output] += x[input] * w[weight]; });
 */
export function forEachDepthwiseProduct(
  geometry: ConvGeometry,
  visit: (input: number, weight: number, output: number) => void,
): void {
  const { inChannels, outChannels, kernel } = geometry;
  const multiplier = outChannels / inChannels;
  const taps = kernel[0] * kernel[1];
  forEachTap(geometry, (pixel, tap, window) => {
    for (let o = 0; o < outChannels; o++) {
      const c = Math.floor(o / multiplier);
      visit(pixel * inChannels + c, o * taps + tap, window * outChannels + o);
    }
  });
}

/**
 * The sums of `shaders/depthwise-conv2d.wgsl`, in float64: input NHWC, weights output channels x ky x kx. Its epilogue's
 * twin is `conv2d`.
 *
 * @example
 * const output = depthwiseConv2d(input, weights, { ...geometry, inChannels: 8, outChannels: 8, groups: 8 });
 */
export function depthwiseConv2d(
  input: ArrayLike<number>,
  weights: ArrayLike<number>,
  geometry: ConvGeometry,
): Float64Array {
  const [height, width] = convOutput(geometry);
  const result = new Float64Array(geometry.batch * height * width * geometry.outChannels);
  forEachDepthwiseProduct(geometry, (at, weight, output) => {
    result[output] += input[at] * weights[weight];
  });
  return result;
}
