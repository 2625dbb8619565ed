/**
 * The accumulators that `shaders/sum-splits-int8.wgsl` requantizes: partial sums (splits x rows x channels) added over
 * the splits, plus bias, and the maximum of every four rows where `pool`.
 */
export function sumSplitsInt8(
  partial: Int32Array,
  splits: number,
  bias: Int32Array,
  pool: boolean,
): Int32Array {
  const channels = bias.length;
  const count = partial.length / splits;
  const sums = Int32Array.from({ length: count }, (_, i) => bias[i % channels]);
  for (let i = 0; i < partial.length; i++) sums[i % count] += partial[i];
  if (!pool) return sums;
  return Int32Array.from({ length: count / 4 }, (_, i) => {
    const at = Math.floor(i / channels) * 4 * channels + (i % channels);
    return Math.max(...[0, 1, 2, 3].map((corner) => sums[at + corner * channels]));
  });
}
