import { forEachWindow, type PoolShape } from './pool-windows.ts';

/**
 * The CPU twin of `shaders/max-pool2d-int8.wgsl`, on one code an element. An empty window gives the lowest code.
 *
 * @example
 * maxPool2dInt8(codes, { batch: 1, height: 4, width: 4, channels: 8, outputHeight: 2, outputWidth: 2, ...window });
 */
export function maxPool2dInt8<T extends Int8Array | Uint8Array>(input: T, shape: PoolShape): T {
  const count = shape.batch * shape.outputHeight * shape.outputWidth * shape.channels;
  const output = (input instanceof Int8Array ? new Int8Array(count) : new Uint8Array(count)) as T;
  const lowest = input instanceof Int8Array ? -128 : 0;
  forEachWindow(shape, (index, cells) => {
    output[index] = Math.max(lowest, ...cells.map((cell) => input[cell]));
  });
  return output;
}
