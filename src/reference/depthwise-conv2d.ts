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
  const { batch, height, width, inChannels, outChannels, kernel, strides, dilations, pads } = geometry;
  const multiplier = outChannels / inChannels;
  const [outHeight, outWidth] = convOutput(geometry);
  for (let p = 0; p < batch * outHeight * outWidth; p++) {
    const n = Math.floor(p / (outHeight * outWidth));
    const oy = Math.floor(p / outWidth) % outHeight;
    for (let ky = 0; ky < kernel[0]; ky++) {
      const y = oy * strides[0] + ky * dilations[0] - pads[0];
      if (y < 0 || y >= height) continue;
      for (let kx = 0; kx < kernel[1]; kx++) {
        const x = (p % outWidth) * strides[1] + kx * dilations[1] - pads[1];
        if (x < 0 || x >= width) continue;
        for (let o = 0; o < outChannels; o++) {
          const weight = (o * kernel[0] + ky) * kernel[1] + kx;
          const c = Math.floor(o / multiplier);
          visit(((n * height + y) * width + x) * inChannels + c, weight, p * outChannels + o);
        }
      }
    }
  }
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
