/**
 * Mean and sum of squared deviations of each channel of one split: pixels x channels in, two rows of channels out.
 *
 * @example
 * batchNormStatistics([1, 10, 3, 30], 2); // means 2 20, squared deviations 2 200
 */
export function batchNormStatistics(input: ArrayLike<number>, channels: number): Float64Array {
  const pixels = input.length / channels;
  const result = new Float64Array(channels * 2);
  for (let i = 0; i < input.length; i++) result[i % channels] += input[i] / pixels;
  for (let i = 0; i < input.length; i++) {
    result[channels + (i % channels)] += (input[i] - result[i % channels]) ** 2;
  }
  return result;
}
