import type { ConvGeometry } from './conv2d-int8.ts';

/**
 * Accumulators of an int8 convolution by Winograd's F(2, 3) along rows, in the kernel's own steps and integers; its
 * kernel is three wide, strides and dilations are 1, the output's width is even. Equal to `conv2dAccumulators`.
 *
 * @returns int32, [batch, outHeight, outWidth, outChannels]
 */
export function conv2dInt8Winograd(
  input: Int8Array,
  weights: Int8Array,
  bias: Int32Array,
  zeroPoint: number,
  geometry: ConvGeometry,
): Int32Array {
  const { batch, height, width, inChannels, outChannels, kernel, pads, groups } = geometry;
  const [kernelHeight] = kernel;
  const outHeight = height + pads[0] + pads[2] - kernelHeight + 1;
  const outWidth = width + pads[1] + pads[3] - 2;
  const own = inChannels / groups;
  const out = new Int32Array(batch * outHeight * outWidth * outChannels);
  const code = (n: number, y: number, x: number, c: number) =>
    y < 0 || x < 0 || y >= height || x >= width
      ? 0
      : input[((n * height + y) * width + x) * inChannels + c] - zeroPoint;
  for (let n = 0; n < batch; n++) {
    for (let y = 0; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x += 2) {
        for (let o = 0; o < outChannels; o++) {
          const group = Math.floor(o / (outChannels / groups));
          const m = new Int32Array(4);
          for (let ky = 0; ky < kernelHeight; ky++) {
            for (let c = 0; c < own; c++) {
              const d = [0, 1, 2, 3].map((i) => code(n, y + ky - pads[0], x + i - pads[1], group * own + c));
              const g = [0, 1, 2].map((kx) => weights[((o * own + c) * kernelHeight + ky) * 3 + kx]);
              m[0] += (d[0] - d[2]) * g[0];
              m[1] += (d[1] + d[2]) * (g[0] + g[1] + g[2]);
              m[2] += (d[2] - d[1]) * (g[0] - g[1] + g[2]);
              m[3] += (d[1] - d[3]) * g[2];
            }
          }
          const at = ((n * outHeight + y) * outWidth + x) * outChannels + o;
          out[at] = m[0] + ((m[1] + m[2]) >> 1) + bias[o];
          out[at + outChannels] = ((m[1] - m[2]) >> 1) - m[3] + bias[o];
        }
      }
    }
  }
  return out;
}
