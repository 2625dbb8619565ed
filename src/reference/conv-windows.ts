import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

/**
 * Visits every tap of a convolution's windows that lies inside the image, window by window: the input pixel, the tap and
 * the output pixel, each counted over the whole batch or filter.
 *
 * @example
 * forEachTap(geometry, (pixel, tap, window) => { sums[window] += x[pixel] * w[tap]; });
 */
export function forEachTap(
  geometry: ConvGeometry,
  visit: (pixel: number, tap: number, window: number) => void,
): void {
  const { batch, height, width, kernel, strides, dilations, pads } = geometry;
  const [outHeight, outWidth] = convOutput(geometry);
  for (let p = 0; p < batch * outHeight * outWidth; p++) {
    const n = Math.floor(p / (outHeight * outWidth));
    const oy = Math.floor(p / outWidth) % outHeight;
    for (let ky = 0; ky < kernel[0]; ky++) {
      const y = oy * strides[0] + ky * dilations[0] - pads[0];
      if (y < 0 || y >= height) continue;
      for (let kx = 0; kx < kernel[1]; kx++) {
        const x = (p % outWidth) * strides[1] + kx * dilations[1] - pads[1];
        if (x >= 0 && x < width) visit((n * height + y) * width + x, ky * kernel[1] + kx, p);
      }
    }
  }
}
