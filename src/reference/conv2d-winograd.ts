import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

/**
 * A convolution's sums by Winograd's F(2, 3) along rows, in the kernel's own steps, in float64: a kernel three wide,
 * strides and dilations of columns 1. What `conv2d` gives with scales of 1 and no bounds, but for rounding.
 *
 * @returns [batch, outHeight, outWidth, outChannels]
 */
export function conv2dWinograd(
  input: Float32Array,
  weights: Float32Array,
  geometry: ConvGeometry,
): Float64Array {
  const { batch, height, width, inChannels, outChannels, kernel, dilations, pads, groups } = geometry;
  const [outHeight, outWidth] = convOutput(geometry);
  const own = inChannels / groups;
  const out = new Float64Array(batch * outHeight * outWidth * outChannels);
  const value = (n: number, y: number, x: number, c: number) =>
    y < 0 || x < 0 || y >= height || x >= width ? 0 : input[((n * height + y) * width + x) * inChannels + c];
  for (let n = 0; n < batch; n++) {
    for (let y = 0; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x += 2) {
        for (let o = 0; o < outChannels; o++) {
          const first = Math.floor(o / (outChannels / groups)) * own;
          const m = [0, 0, 0, 0];
          for (let ky = 0; ky < kernel[0]; ky++) {
            for (let c = 0; c < own; c++) {
              const row = y + ky * dilations[0] - pads[0];
              const d = [0, 1, 2, 3].map((i) => value(n, row, x + i - pads[1], first + c));
              const g = [0, 1, 2].map((kx) => weights[((o * own + c) * kernel[0] + ky) * 3 + kx]);
              m[0] += (d[0] - d[2]) * g[0];
              m[1] += ((d[1] + d[2]) * (g[0] + g[1] + g[2])) / 2;
              m[2] += ((d[2] - d[1]) * (g[0] - g[1] + g[2])) / 2;
              m[3] += (d[1] - d[3]) * g[2];
            }
          }
          const at = ((n * outHeight + y) * outWidth + x) * outChannels + o;
          out[at] = m[0] + m[1] + m[2];
          if (x + 1 < outWidth) out[at + outChannels] = m[1] - m[2] - m[3];
        }
      }
    }
  }
  return out;
}
