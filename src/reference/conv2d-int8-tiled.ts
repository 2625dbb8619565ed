import { type ConvGeometry, convOutput } from './conv2d-int8.ts';

/** How the kernel walks a convolution as an implicit GEMM. */
export interface GemmWalk {
  pool: boolean;
  splits: number;
  /** Words of four channels a step; a split takes whole steps. */
  tileWords: number;
}

/** The output pixel of a GEMM row as [image, y, x]: rows of a pooled convolution go window by window. */
export function rowPixel(row: number, pool: boolean, [height, width]: readonly [number, number]): number[] {
  if (!pool) return [Math.floor(row / (height * width)), Math.floor(row / width) % height, row % width];
  const [rows, columns] = [height >> 1, width >> 1];
  const window = row >> 2;
  const y = (Math.floor(window / columns) % rows) * 2 + ((row >> 1) & 1);
  return [Math.floor(window / (rows * columns)), y, (window % columns) * 2 + (row & 1)];
}

/**
 * The raw int32 sums that `shaders/conv2d-int8-tiled.wgsl` leaves with SPLIT: splits x rows x outChannels, without bias.
 * Input NHWC, weights OIHW; the padding's code is multiplied like any other, as in the kernel.
 */
export function splitSums(
  input: Int8Array,
  weights: Int8Array,
  padCode: number,
  geometry: ConvGeometry,
  { pool, splits, tileWords }: GemmWalk,
): Int32Array {
  const { batch, height, width, inChannels, outChannels, kernel, strides, dilations, pads, groups } =
    geometry;
  const [outHeight, outWidth] = convOutput(geometry);
  const rows = batch * (pool ? (outHeight >> 1) * (outWidth >> 1) * 4 : outHeight * outWidth);
  const perGroup = inChannels / groups;
  const groupWords = Math.ceil(perGroup / 4);
  const kernelWords = kernel[0] * kernel[1] * groupWords;
  const share = Math.ceil(Math.ceil(kernelWords / tileWords) / splits) * tileWords;
  const sums = new Int32Array(splits * rows * outChannels);
  for (let row = 0; row < rows; row++) {
    const [image, oy, ox] = rowPixel(row, pool, [outHeight, outWidth]);
    for (let o = 0; o < outChannels; o++) {
      const firstChannel = Math.floor(o / (outChannels / groups)) * perGroup;
      for (let k = 0; k < kernelWords; k++) {
        const tap = Math.floor(k / groupWords);
        const [ky, kx] = [Math.floor(tap / kernel[1]), tap % kernel[1]];
        const y = oy * strides[0] + ky * dilations[0] - pads[0];
        const x = ox * strides[1] + kx * dilations[1] - pads[1];
        const inside = y >= 0 && x >= 0 && y < height && x < width;
        const split = Math.floor(k / share);
        for (let c = (k % groupWords) * 4; c < Math.min((k % groupWords) * 4 + 4, perGroup); c++) {
          const code = inside
            ? input[((image * height + y) * width + x) * inChannels + firstChannel + c]
            : padCode;
          sums[(split * rows + row) * outChannels + o] +=
            code * weights[((o * perGroup + c) * kernel[0] + ky) * kernel[1] + kx];
        }
      }
    }
  }
  return sums;
}
