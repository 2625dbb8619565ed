import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/scatter.wgsl: row after row, whatever `splits` is.
 *
 * @example
 * const output = Float64Array.of(1, 2, 3, 4);
 * scatterReference(
 *   { updates: Float64Array.of(5, 6), places: Float64Array.of(2), output },
 *   { rows: 1, columns: 2, inners: 2, splits: 1 },
 *   { OP: 1 },
 * ); // 1, 2, 8, 10
 */
export function scatterReference(
  { updates, places, output }: TwinBuffers,
  { rows, columns, inners }: TwinParams,
  { OP = 0, EACH = 0, Element = 'f32' }: TwinSpecialization,
): void {
  const float = Element === 'f32';
  const stored = (x: number) => (float ? x : Element === 'u32' ? x >>> 0 : x | 0);
  const joined = (old: number, update: number) => {
    if (OP === 1) return stored(old + update);
    if (OP === 2) return float ? old * update : stored(Math.imul(old, update));
    if (OP === 3) return Math.max(old, update);
    return OP === 4 ? Math.min(old, update) : update;
  };
  for (let column = 0; column < columns; column++) {
    const first = Math.floor(column / inners) * rows * inners + (column % inners);
    for (let row = 0; row < rows; row++) {
      const update = first + row * inners;
      const place = places[EACH === 1 ? update : row];
      if (place < 0) continue;
      const at = EACH === 1 ? place : place + column;
      output[at] = joined(output[at], updates[update]);
    }
  }
}
