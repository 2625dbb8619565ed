/** Bins of an observed histogram. */
export const OBSERVED_BINS = 4096;

/** Which of a buffer's elements are values: of each row the first `channels`. */
export interface RowLayout {
  rowLength: number;
  channels: number;
}

/**
 * The CPU twin of `shaders/observe-histogram.wgsl`, all slices together: how many values lie in each bin.
 *
 * @returns 4096 counts
 * @example
 * observeHistogram(Float32Array.of(-1, 0, 1.5), -1, 1.5, { rowLength: 1, channels: 1 }); // 1 at 1024, 2048 and 3584
 */
export function observeHistogram(
  input: Float32Array,
  minimum: number,
  maximum: number,
  { rowLength, channels }: RowLayout,
): Uint32Array {
  const counts = new Uint32Array(OBSERVED_BINS);
  const limit = observedLimit(minimum, maximum);
  for (let i = 0; i < input.length; i++) {
    if (i % rowLength < channels) {
      counts[Math.floor((input[i] * (OBSERVED_BINS / 2)) / limit) + OBSERVED_BINS / 2]++;
    }
  }
  return counts;
}

/** The power of two above every magnitude of a range, 2^-125 at least. */
export function observedLimit(minimum: number, maximum: number): number {
  const magnitude = Math.max(-minimum, maximum);
  let limit = 2 ** -125;
  while (limit <= magnitude) limit *= 2;
  return limit;
}
