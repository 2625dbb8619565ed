import { binaryFunctions, unaryFunctions } from './element-functions.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Calls `visit` with every element's index and where its operands lie; `axes` is the shader's. */
export function eachElement(
  count: number,
  rank: number,
  axes: Float64Array,
  visit: (index: number, a: number, b: number, c: number) => void,
): void {
  for (let index = 0; index < count; index++) {
    const at = [0, 0, 0];
    let rest = index;
    for (let d = 0; d < rank; d++) {
      const size = axes[d * 4];
      const coordinate = d + 1 === rank ? rest : rest % size;
      for (let k = 0; k < 3; k++) at[k] += coordinate * axes[d * 4 + 1 + k];
      rest = Math.floor(rest / size);
    }
    visit(index, at[0], at[1], at[2]);
  }
}

/**
 * CPU twin of shaders/element-wise.wgsl, in float64.
 *
 * @example
 * const output = new Float64Array(2);
 * const axes = Float64Array.of(2, 1, 0, 0);
 * elementWiseReference({ a, b, c: b, axes, output }, { count: 2, rank: 1, p: 0, q: 0 }, { OP: 40 }); // a + b[0]
 */
export function elementWiseReference(
  { a, b, c, axes, output }: TwinBuffers,
  { count, rank, p, q }: TwinParams,
  { OP }: TwinSpecialization,
): void {
  const unary = unaryFunctions[OP as number];
  const binary = binaryFunctions[OP as number];
  eachElement(count, rank, axes, (index, i, j, k) => {
    output[index] = unary ? unary(a[i], p, q) : binary(a[i], b[j], c[k]);
  });
}
