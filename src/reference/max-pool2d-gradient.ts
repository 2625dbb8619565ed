import { forEachWindow, type PoolShape } from './pool-windows.ts';

/**
 * Gradient of max pooling by its input, in float64; the first of equal cells takes it.
 *
 * @example
 * const inputGradient = maxPool2dGradient(input, gradient, shape);
 */
export function maxPool2dGradient(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  shape: PoolShape,
): Float64Array {
  const result = new Float64Array(input.length);
  forEachWindow(shape, (output, cells) => {
    if (cells.length === 0) return;
    result[cells.reduce((best, cell) => (input[cell] > input[best] ? cell : best))] += gradient[output];
  });
  return result;
}
