import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/softmax.wgsl, in float64.
 *
 * @example
 * softmaxReference({ input, output: new Float64Array(6) }, { rows: 2, size: 3, inners: 1 }, { LOG: 0 });
 */
export function softmaxReference(
  { input, output }: TwinBuffers,
  { rows, size, inners }: TwinParams,
  { LOG = 0 }: TwinSpecialization,
): void {
  for (let row = 0; row < rows; row++) {
    const base = Math.floor(row / inners) * size * inners + (row % inners);
    const values = Array.from({ length: size }, (_, k) => input[base + k * inners]);
    const maximum = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const sum = values.reduce((total, x) => total + Math.exp(x - maximum), 0);
    for (const [k, x] of values.entries()) {
      output[base + k * inners] = LOG === 1 ? x - maximum - Math.log(sum) : Math.exp(x - maximum) / sum;
    }
  }
}
