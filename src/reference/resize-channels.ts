/**
 * The CPU twin of `shaders/resize-channels.wgsl`: rows of channels padded with zeros, or cut.
 *
 * @example
 * resizeChannels([1, 2, 3, 4], 2, 3); // 1 2 0 3 4 0
 */
export function resizeChannels(
  input: ArrayLike<number>,
  inputChannels: number,
  outputChannels: number,
): Float32Array {
  const rows = input.length / inputChannels;
  return Float32Array.from({ length: rows * outputChannels }, (_, i) => {
    const c = i % outputChannels;
    return c < inputChannels ? input[Math.floor(i / outputChannels) * inputChannels + c] : 0;
  });
}
