const TILE_CHANNELS = 16;

/** A filter's sizes: taps are its height times its width. */
export interface FilterShape {
  taps: number;
  inputChannels: number;
  outputChannels: number;
}

/**
 * The CPU twin of `shaders/tile-weights.wgsl`: an HWIO filter in tiles of 16 output channels, inputs padded to 4.
 *
 * @example
 * const tiled = tileWeights(filter, { taps: 9, inputChannels: 3, outputChannels: 20 }); // 2 tiles of 9 x 4 x 16
 */
export function tileWeights(filter: ArrayLike<number>, shape: FilterShape): Float32Array {
  const padded = Math.ceil(shape.inputChannels / 4) * 4;
  const tiles = Math.ceil(shape.outputChannels / TILE_CHANNELS);
  const tiled = new Float32Array(tiles * shape.taps * padded * TILE_CHANNELS);
  forEachElement(shape, (hwio, at) => {
    tiled[at] = filter[hwio];
  });
  return tiled;
}

/**
 * The inverse of {@link tileWeights}.
 *
 * @example
 * untileWeights(tileWeights(filter, shape), shape); // filter again
 */
export function untileWeights(tiled: ArrayLike<number>, shape: FilterShape): Float32Array {
  const filter = new Float32Array(shape.taps * shape.inputChannels * shape.outputChannels);
  forEachElement(shape, (hwio, at) => {
    filter[hwio] = tiled[at];
  });
  return filter;
}

function forEachElement(shape: FilterShape, visit: (hwio: number, tiled: number) => void): void {
  const { taps, inputChannels, outputChannels } = shape;
  const padded = Math.ceil(inputChannels / 4) * 4;
  for (let tap = 0; tap < taps; tap++) {
    for (let c = 0; c < inputChannels; c++) {
      for (let o = 0; o < outputChannels; o++) {
        const row = (Math.floor(o / TILE_CHANNELS) * taps + tap) * padded + c;
        visit((tap * inputChannels + c) * outputChannels + o, row * TILE_CHANNELS + (o % TILE_CHANNELS));
      }
    }
  }
}
