import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

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
  const { batch, height, width, inChannels, outChannels, kernel, strides, dilations, pads } = geometry;
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
        for (let c = 0; c < inChannels; c++) {
          for (let o = 0; o < outChannels; o++) {
            const weight = ((o * inChannels + c) * kernel[0] + ky) * kernel[1] + kx;
            visit(((n * height + y) * width + x) * inChannels + c, weight, p * outChannels + o);
          }
        }
      }
    }
  }
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
