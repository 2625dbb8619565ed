/**
 * The CPU twin of `shaders/resize-channels-int8.wgsl`: rows of codes padded with zeros, or cut.
 *
 * @example
 * resizeChannelsInt8(Int8Array.of(1, -2, 3, 4), 2, 4); // 1 -2 0 0 3 4 0 0
 */
export function resizeChannelsInt8<T extends Int8Array | Uint8Array>(
  input: T,
  inputChannels: number,
  outputChannels: number,
): T {
  const rows = input.length / inputChannels;
  const output = new (input.constructor as new (n: number) => T)(rows * outputChannels);
  const kept = Math.min(inputChannels, outputChannels);
  for (let row = 0; row < rows; row++)
    output.set(input.subarray(row * inputChannels, row * inputChannels + kept), row * outputChannels);
  return output;
}
