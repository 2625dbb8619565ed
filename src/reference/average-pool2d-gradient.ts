import { forEachWindow, type PoolShape } from './pool-windows.ts';

/**
 * Gradient of average pooling by its input, in float64; padding is not counted.
 *
 * @example
 * const inputGradient = averagePool2dGradient(gradient, shape);
 */
export function averagePool2dGradient(gradient: ArrayLike<number>, shape: PoolShape): Float64Array {
  const result = new Float64Array(shape.batch * shape.height * shape.width * shape.channels);
  forEachWindow(shape, (output, cells) => {
    for (const cell of cells) result[cell] += gradient[output] / cells.length;
  });
  return result;
}
