/** Sizes of a 2-D pooling over NHWC data; `channels` is a plain count, without packing. */
export interface PoolShape {
  batch: number;
  height: number;
  width: number;
  channels: number;
  outputHeight: number;
  outputWidth: number;
  kernelHeight: number;
  kernelWidth: number;
  strideHeight: number;
  strideWidth: number;
  dilationHeight: number;
  dilationWidth: number;
  padTop: number;
  padLeft: number;
}

/** What averaging needs besides: where the padding ends, and whether its cells count. */
export interface AveragePoolShape extends PoolShape {
  padBottom: number;
  padRight: number;
  includePad: boolean;
}

/**
 * Calls `visit` for each output element with the indices of the input elements in its window, row by row.
 *
 * @param visit output index, input indices, and how many of the window's cells lie in the padding (0 unless
 *   the shape says where the padding ends)
 * @example
 * forEachWindow(shape, (output, cells) => { result[output] = Math.max(...cells.map((i) => input[i])); });
 */
export function forEachWindow(
  shape: PoolShape & Partial<AveragePoolShape>,
  visit: (output: number, cells: number[], padded: number) => void,
): void {
  const { batch, height, width, channels, padBottom = 0, padRight = 0 } = shape;
  let output = 0;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < shape.outputHeight; oy++) {
      for (let ox = 0; ox < shape.outputWidth; ox++) {
        for (let c = 0; c < channels; c++) {
          const cells: number[] = [];
          let padded = 0;
          for (let ky = 0; ky < shape.kernelHeight; ky++) {
            const y = oy * shape.strideHeight - shape.padTop + ky * shape.dilationHeight;
            for (let kx = 0; kx < shape.kernelWidth; kx++) {
              const x = ox * shape.strideWidth - shape.padLeft + kx * shape.dilationWidth;
              if (y >= 0 && y < height && x >= 0 && x < width) {
                cells.push(((n * height + y) * width + x) * channels + c);
              } else if (y < height + padBottom && x < width + padRight) padded++;
            }
          }
          visit(output++, cells, padded);
        }
      }
    }
  }
}
