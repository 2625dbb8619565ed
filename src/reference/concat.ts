/** Rows of one input of a concatenation: its channels, and the values from one row to the next. */
export interface ConcatPart {
  values: Float32Array;
  channels: number;
  stride: number;
}

/**
 * CPU twin of one shaders/concat.wgsl dispatch an input: rows of all parts' channels, then zeros up to `stride`.
 *
 * @example
 * const parts = [{ values: Float32Array.of(1, 2), channels: 1, stride: 1 }, { values, channels: 2, stride: 4 }];
 * concatReference(parts, 2, 4, 0, Infinity); // 2 rows of 1 + 2 channels and a zero
 */
export function concatReference(
  parts: readonly ConcatPart[],
  rows: number,
  stride: number,
  low: number,
  high: number,
): Float32Array {
  const output = new Float32Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    let at = row * stride;
    for (const { values, channels, stride: own } of parts) {
      for (let c = 0; c < channels; c++) {
        output[at++] = Math.min(Math.max(values[row * own + c], low), high);
      }
    }
  }
  return output;
}
