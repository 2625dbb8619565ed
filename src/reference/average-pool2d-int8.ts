import { type AveragePoolShape, forEachWindow } from './pool-windows.ts';
import { roundHalfToEven } from './round.ts';

/**
 * The CPU twin of `shaders/average-pool2d-int8.wgsl`, on one code an element: the exact average of a window's codes,
 * rounded half to even or truncated toward zero. Cells of the padding, where they count, hold `zeroPoint`.
 *
 * float64 division is exact enough: sum / count has a tie only where the quotient is exactly representable.
 *
 * @example
 * averagePool2dInt8(codes, { batch: 1, height: 4, width: 4, channels: 8, outputHeight: 1, outputWidth: 1, ...window }, 0);
 */
export function averagePool2dInt8<T extends Int8Array | Uint8Array>(
  input: T,
  shape: AveragePoolShape,
  zeroPoint: number,
  rounding: 'half-to-even' | 'truncate' = 'half-to-even',
): T {
  const length = shape.batch * shape.outputHeight * shape.outputWidth * shape.channels;
  const output = (input instanceof Int8Array ? new Int8Array(length) : new Uint8Array(length)) as T;
  forEachWindow(shape, (index, cells, padded) => {
    const counted = shape.includePad ? padded : 0;
    const count = cells.length + counted;
    let sum = counted * zeroPoint;
    for (const cell of cells) sum += input[cell];
    const average = count === 0 ? zeroPoint : sum / count;
    output[index] = rounding === 'truncate' ? Math.trunc(average) : roundHalfToEven(average);
  });
  return output;
}
