import { type AveragePoolShape, forEachWindow } from './pool-windows.ts';

/**
 * The CPU twin of `shaders/average-pool2d.wgsl`: f32 additions in the same order, one f32 division. An empty window
 * gives 0.
 *
 * @example
 * averagePool2d(values, { batch: 1, height: 4, width: 4, channels: 8, outputHeight: 2, outputWidth: 2, ...window });
 */
export function averagePool2d(input: Float32Array, shape: AveragePoolShape): Float32Array {
  const output = new Float32Array(shape.batch * shape.outputHeight * shape.outputWidth * shape.channels);
  forEachWindow(shape, (index, cells, padded) => {
    let sum = 0;
    for (const cell of cells) sum = Math.fround(sum + input[cell]);
    const count = cells.length + (shape.includePad ? padded : 0);
    output[index] = sum / Math.max(count, 1);
  });
  return output;
}
