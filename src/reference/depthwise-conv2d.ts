import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

/**
 * Visits every product of a depthwise convolution: indices of its input (NHWC), weight (channels, ky, kx) and output.
 *
 * @example
 * forEachDepthwiseProduct(geometry, (input, weight, output) => { result[output] += x[input] * w[weight]; });
 */
export function forEachDepthwiseProduct(
  geometry: ConvGeometry,
  visit: (input: number, weight: number, output: number) => void,
): void {
  const { batch, height, width, inChannels: channels, kernel, strides, dilations, pads } = geometry;
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
        for (let c = 0; c < channels; c++) {
          const weight = (c * kernel[0] + ky) * kernel[1] + kx;
          visit(((n * height + y) * width + x) * channels + c, weight, p * channels + c);
        }
      }
    }
  }
}

/**
 * The CPU twin of `shaders/depthwise-conv2d.wgsl`, in float64: input NHWC, weights channels x ky x kx.
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
  const result = new Float64Array(geometry.batch * height * width * geometry.inChannels);
  forEachDepthwiseProduct(geometry, (at, weight, output) => {
    result[output] += input[at] * weights[weight];
  });
  return result;
}
