import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Where element `index` of a loop over axes of (size, stride) lies. */
function offsetOf(index: number, axes: Float64Array, first: number, rank: number): number {
  let rest = index;
  let offset = 0;
  for (let d = first; d < first + rank; d++) {
    const [size, stride] = axes.subarray(d * 2, d * 2 + 2);
    offset += (d + 1 < first + rank ? rest % size : rest) * stride;
    rest = Math.floor(rest / size);
  }
  return offset;
}

/** Index of the largest (or smallest) value, the first or last of equal ones; the first NaN where there is one. */
function extremum(values: readonly number[], largest: boolean, last: boolean): number {
  const nan = values.findIndex(Number.isNaN);
  if (nan >= 0) return nan;
  let best = 0;
  for (const [i, value] of values.entries()) {
    const equal = last && value === values[best];
    if (equal || (largest ? value > values[best] : value < values[best])) best = i;
  }
  return best;
}

/**
 * CPU twin of shaders/reduce.wgsl, in float64, or in 32-bit integers.
 *
 * @example
 * // Sums of the rows of a 2 x 3 matrix: one kept axis of stride 3, one reduced axis of stride 1.
 * reduceReference(
 *   { input, axes: Float64Array.of(2, 3, 3, 1), output: new Float64Array(2) },
 *   { outputs: 2, reduced: 3, keptRank: 1, reducedRank: 1, identity: 0 },
 *   { OP: 0 },
 * );
 */
export function reduceReference(
  { input, axes, output }: TwinBuffers,
  { outputs, reduced, keptRank, reducedRank, identity }: TwinParams,
  { OP, LAST = 0, Element = 'f32' }: TwinSpecialization,
): void {
  const integer =
    Element === 'u32' ? (x: number) => x >>> 0 : Element === 'i32' ? (x: number) => x | 0 : null;
  const rounded = integer ?? ((x: number) => x);
  const multiply = integer
    ? (x: number, y: number) => integer(Math.imul(x, y))
    : (x: number, y: number) => x * y;
  const empty = integer ? integer(identity) : new Float32Array(Uint32Array.of(identity).buffer)[0];
  for (let index = 0; index < outputs; index++) {
    const base = offsetOf(index, axes, 0, keptRank);
    const values = Array.from(
      { length: reduced },
      (_, r) => input[base + offsetOf(r, axes, keptRank, reducedRank)],
    );
    const sum = (of: (x: number) => number) => values.reduce((total, x) => rounded(total + of(x)), 0);
    switch (OP) {
      case 0:
        output[index] = sum((x) => x);
        break;
      case 1:
        output[index] = integer ? Math.trunc(sum((x) => x) / reduced) : sum((x) => x) / reduced;
        break;
      case 2:
      case 3:
        output[index] = reduced === 0 ? empty : values[extremum(values, OP === 2, false)];
        break;
      case 4:
        output[index] = values.reduce(multiply, 1);
        break;
      case 5:
        output[index] = sum(Math.abs);
        break;
      case 6:
        output[index] = sum((x) => multiply(x, x));
        break;
      default:
        output[index] = extremum(values, OP === 8, LAST === 1);
    }
  }
}
