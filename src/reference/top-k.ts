import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/top-k.wgsl, by sorting.
 *
 * @example
 * const [values, indices] = [new Float64Array(2), new Float64Array(2)];
 * topKReference(
 *   { input: Float64Array.of(1, 3, 2), values, indices },
 *   { rows: 1, size: 3, inners: 1, k: 2 },
 *   { LARGEST: 1 },
 * ); // 3, 2 at 1, 2
 */
export function topKReference(
  { input, values, indices }: TwinBuffers,
  { rows, size, inners, k }: TwinParams,
  { LARGEST = 1 }: TwinSpecialization,
): void {
  /** Above 0 where x is larger; NaN is the largest. */
  const compared = (x: number, y: number) =>
    Number.isNaN(x) || Number.isNaN(y) ? Number(Number.isNaN(x)) - Number(Number.isNaN(y)) : x - y || 0;
  for (let row = 0; row < rows; row++) {
    const [outer, inner] = [Math.floor(row / inners), row % inners];
    const at = (i: number) => input[(outer * size + i) * inners + inner];
    const order = Array.from({ length: size }, (_, i) => i);
    order.sort((i, j) => (LARGEST === 1 ? compared(at(j), at(i)) : compared(at(i), at(j))) || i - j);
    for (const [rank, i] of order.slice(0, k).entries()) {
      const place = (outer * k + rank) * inners + inner;
      values[place] = at(i);
      indices[place] = i;
    }
  }
}
