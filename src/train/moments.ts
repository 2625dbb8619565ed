import { outputPixels, vectorsOf } from './geometry.ts';
import type { AffineLayer } from './layers.ts';

/** The mean and variance of many batches of one size, from each batch's mean and inverse deviation. */
export function createMoments(layer: Pick<AffineLayer, 'shape' | 'epsilon'>, batch: number) {
  const row = vectorsOf(layer.shape) * 4;
  const means = new Float64Array(row);
  const squares = new Float64Array(row);
  const pixels = outputPixels(layer, batch);
  let batches = 0;
  return {
    /** Two rows of channels, as `batch-norm-merge` leaves them. */
    add(statistics: ArrayLike<number>): void {
      batches++;
      for (let c = 0; c < row; c++) {
        const variance = Math.max(0, 1 / statistics[row + c] ** 2 - layer.epsilon);
        means[c] += statistics[c];
        squares[c] += variance + statistics[c] ** 2;
      }
    },
    /** Mean and unbiased variance over all of them: two rows, as batch norm's running statistics. */
    running(): Float32Array<ArrayBuffer> {
      const rows = new Float32Array(row * 2);
      const count = batches * pixels;
      for (let c = 0; c < row; c++) {
        rows[c] = means[c] / batches;
        const variance = Math.max(0, squares[c] / batches - (means[c] / batches) ** 2);
        rows[row + c] = (variance * count) / Math.max(1, count - 1);
      }
      return rows;
    },
  };
}
