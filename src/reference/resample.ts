import type { TwinBuffers, TwinParams } from './twin.ts';

/**
 * CPU twin of shaders/resample.wgsl, in float64.
 *
 * @example
 * // The middle between every two neighbours of one row.
 * const tables = { places: Float64Array.of(0, 1, 1, 2), weights: new Float64Array(4).fill(0.5) };
 * const params = { count: 2, size: 3, length: 2, inners: 1, taps: 2, outside: 0 };
 * resampleReference({ input: Float64Array.of(1, 2, 4), ...tables, output: new Float64Array(2) }, params); // 1.5, 3
 */
export function resampleReference(
  { input, places, weights, output }: TwinBuffers,
  { count, size, length, inners, taps, outside }: TwinParams,
): void {
  for (let index = 0; index < count; index++) {
    const inner = index % inners;
    const j = Math.floor(index / inners) % length;
    const outer = Math.floor(index / inners / length);
    let sum = 0;
    for (let t = j * taps; t < (j + 1) * taps; t++) {
      if (weights[t] !== 0) sum += weights[t] * input[(outer * size + places[t]) * inners + inner];
    }
    output[index] = places[j * taps] < 0 ? outside : sum;
  }
}
