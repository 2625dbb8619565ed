import { forEachWindow, type PoolShape } from './pool-windows.ts';

/**
 * The CPU twin of `shaders/max-pool2d.wgsl`. An empty window gives -Infinity.
 *
 * @example
 * maxPool2d(values, { batch: 1, height: 4, width: 4, channels: 8, outputHeight: 2, outputWidth: 2, ...window });
 */
export function maxPool2d(input: Float32Array, shape: PoolShape): Float32Array {
  const output = new Float32Array(shape.batch * shape.outputHeight * shape.outputWidth * shape.channels);
  forEachWindow(shape, (index, cells) => {
    output[index] = Math.max(...cells.map((cell) => input[cell]));
  });
  return output;
}
