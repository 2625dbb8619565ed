/** A convolution's weights: taps are its height times its width. */
interface Sizes {
  taps: number;
  inputChannels: number;
  outputChannels: number;
}

/**
 * The CPU twin of `shaders/retile-weights.wgsl`: tiles of sixteen output channels into tiles of `tileVectors * 4`, of
 * the same convolution or, with `swap`, of the flipped one from its outputs to its inputs.
 *
 * @example
 * const flipped = retileWeights(weights, { taps: 9, inputChannels: 64, outputChannels: 128 }, 16, true);
 */
export function retileWeights(
  weights: ArrayLike<number>,
  { taps, inputChannels, outputChannels }: Sizes,
  tileVectors: number,
  swap: boolean,
): Float32Array {
  const padded = (channels: number) => Math.ceil(channels / 4) * 4;
  const [rows, columns] = swap ? [outputChannels, inputChannels] : [inputChannels, outputChannels];
  const lanes = tileVectors * 4;
  const retiled = new Float32Array(Math.ceil(columns / lanes) * lanes * taps * padded(rows));
  for (let o = 0; o < outputChannels; o++) {
    for (let c = 0; c < inputChannels; c++) {
      for (let tap = 0; tap < taps; tap++) {
        const from = ((Math.floor(o / 16) * taps + tap) * padded(inputChannels) + c) * 16 + (o % 16);
        const [row, column, to] = swap ? [o, c, taps - 1 - tap] : [c, o, tap];
        const tile = Math.floor(column / lanes);
        retiled[((tile * taps + to) * padded(rows) + row) * lanes + (column % lanes)] = weights[from];
      }
    }
  }
  return retiled;
}
