import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/normalize.wgsl, in float64.
 *
 * @example
 * normalizeReference({ input, scale, bias, means, variances, output, statistics }, params, { GIVEN: 0, HAS_BIAS: 1 });
 */
export function normalizeReference(
  { input, scale, bias, means, variances, output, statistics }: TwinBuffers,
  { groups, size, scaleInners, scaleCount, epsilon }: TwinParams,
  { GIVEN = 0, CENTERED = 1, HAS_BIAS = 1, STATISTICS = 0 }: TwinSpecialization,
): void {
  const channelOf = (index: number) => Math.floor(index / scaleInners) % scaleCount;
  const average = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / size;
  for (let group = 0; group < groups; group++) {
    const values = input.subarray(group * size, (group + 1) * size);
    const own = CENTERED === 1 ? average(values) : 0;
    const mean = GIVEN === 1 ? means[channelOf(group * size)] : own;
    const variance =
      GIVEN === 1 ? variances[channelOf(group * size)] : average(values.map((value) => (value - mean) ** 2));
    const factor = 1 / Math.sqrt(variance + epsilon);
    for (const [i, value] of values.entries()) {
      const channel = channelOf(group * size + i);
      const shift = HAS_BIAS === 1 ? bias[channel] : 0;
      output[group * size + i] = (value - mean) * factor * scale[channel] + shift;
    }
    if (STATISTICS !== 1) continue;
    statistics[group] = mean;
    statistics[groups + group] = factor;
  }
}
