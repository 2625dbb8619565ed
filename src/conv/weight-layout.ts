import { check } from '../gpu/errors.ts';

/** Shape of a convolution's weights: OIHW, `inChannels` counting one group's. */
export interface WeightShape {
  outChannels: number;
  inChannels: number;
  kernelHeight: number;
  kernelWidth: number;
  groups: number;
}

/** Where a tile's element comes from, and how many there are. */
export interface TileLayout {
  shape: WeightShape;
  tileChannels: number;
  tileCount: number;
  groupTiles: number;
  /** Input channels of a group, padded to 4. */
  paddedChannels: number;
  /** Elements of the tiled order, padding included. */
  length: number;
}

/**
 * The layout that the convolution kernels read, [tile][ky][kx][channel][tileChannels]: output channels in tiles,
 * input channels padded to 4.
 *
 * A group must be whole words of input and whole tiles of output; {@link arrange} has layouts for other groupings.
 */
export function tileLayout(shape: WeightShape, tileVectors: number): TileLayout {
  const tileChannels = tileVectors * 4;
  check(
    isAligned(shape, tileVectors),
    `a grouped convolution needs multiples of 4 input and ${tileChannels} output channels a group here`,
    `${shape.inChannels} and ${shape.outChannels / shape.groups}`,
    'lay it out with arrange()',
  );
  const groupTiles = Math.ceil(shape.outChannels / shape.groups / tileChannels);
  const paddedChannels = Math.ceil(shape.inChannels / 4) * 4;
  const tileCount = groupTiles * shape.groups;
  const taps = shape.kernelHeight * shape.kernelWidth;
  return {
    shape,
    tileChannels,
    tileCount,
    groupTiles,
    paddedChannels,
    length: tileCount * taps * paddedChannels * tileChannels,
  };
}

/** Vectors of four channels a tile of the depthwise kernels. */
export const DEPTHWISE_VECTORS = 4;

/** Whether each group has one input channel, which several filters may read: what the depthwise kernels compute. */
export function isDepthwise({ inChannels, groups }: Pick<WeightShape, 'inChannels' | 'groups'>): boolean {
  return groups > 1 && inChannels === 1;
}

/** The layout that the depthwise kernels read, [tile][ky][kx][16]: a tile's channels have a filter each. */
export function depthwiseLayout(shape: Omit<WeightShape, 'inChannels' | 'groups'>): TileLayout {
  const tileChannels = DEPTHWISE_VECTORS * 4;
  const tileCount = Math.ceil(shape.outChannels / tileChannels);
  return {
    shape: { ...shape, inChannels: 1, groups: 1 },
    tileChannels,
    tileCount,
    groupTiles: tileCount,
    paddedChannels: 1,
    length: tileCount * shape.kernelHeight * shape.kernelWidth * tileChannels,
  };
}

export function isAligned({ groups, inChannels, outChannels }: WeightShape, tileVectors: number): boolean {
  return groups === 1 || (inChannels % 4 === 0 && (outChannels / groups) % (tileVectors * 4) === 0);
}

type Codes = Float32Array | Int8Array | Uint8Array;

/**
 * A convolution's codes, OIHW, and the layout in which its kernel reads them: depthwise filters side by side, groups of
 * whole tiles one after the other, any other groups as one dense convolution.
 *
 * @param zero what fills a dense convolution between its groups
 */
export function arrange<T extends Codes>(
  codes: T,
  shape: WeightShape,
  tileVectors: number,
  zero = 0,
): { codes: T; layout: TileLayout } {
  if (isDepthwise(shape)) return { codes, layout: depthwiseLayout(shape) };
  if (isAligned(shape, tileVectors)) return { codes, layout: tileLayout(shape, tileVectors) };
  const dense = denseGroups(codes, shape, zero);
  return { codes: dense.codes, layout: tileLayout(dense.shape, tileVectors) };
}

/** A grouped convolution as the dense one with `zero` outside each group's block. */
export function denseGroups<T extends Codes>(
  codes: T,
  shape: WeightShape,
  zero = 0,
): { codes: T; shape: WeightShape } {
  const { outChannels, inChannels, groups } = shape;
  const taps = shape.kernelHeight * shape.kernelWidth;
  const perGroup = outChannels / groups;
  const dense = new (codes.constructor as new (n: number) => T)(
    outChannels * inChannels * groups * taps,
  ).fill(zero) as T;
  for (let o = 0; o < outChannels; o++) {
    const group = Math.floor(o / perGroup);
    const row = inChannels * taps;
    dense.set(codes.subarray(o * row, (o + 1) * row) as never, (o * groups + group) * row);
  }
  return { codes: dense, shape: { ...shape, inChannels: inChannels * groups, groups: 1 } };
}

/** Reorders OIHW elements into tiles for the f32 and depthwise kernels: [tile][ky][kx][channel][tileChannels]. */
export function tileWeights<T extends Codes>(codes: T, layout: TileLayout, padding = 0): T {
  const { shape, tileChannels, tileCount, paddedChannels } = layout;
  const { outChannels, inChannels, kernelHeight, kernelWidth } = shape;
  const taps = kernelHeight * kernelWidth;
  const tiled = new (codes.constructor as new (n: number) => T)(layout.length).fill(padding) as T;
  for (let tile = 0; tile < tileCount; tile++) {
    for (let n = 0; n < tileChannels; n++) {
      const o = tile * tileChannels + n;
      if (o >= outChannels) continue;
      for (let c = 0; c < inChannels; c++) {
        for (let tap = 0; tap < taps; tap++) {
          tiled[((tile * taps + tap) * paddedChannels + c) * tileChannels + n] =
            codes[(o * inChannels + c) * taps + tap];
        }
      }
    }
  }
  return tiled;
}

/**
 * Packs signed codes into tiles for the int8 kernels: [tile][ky][kx][word][tileChannels] with a word's four input
 * channels together, 32, 16 or 8 bits for `bits` 8, 4 or 2 (`shaders/lib/packed-weights.wgsl`).
 */
export function packTiles(codes: Int8Array, layout: TileLayout, bits: 8 | 4 | 2): Uint32Array {
  const { shape, tileChannels, tileCount, paddedChannels } = layout;
  const { outChannels, inChannels, kernelHeight, kernelWidth } = shape;
  const taps = kernelHeight * kernelWidth;
  const words = paddedChannels / 4;
  const packed = new Uint32Array((layout.length * bits) / 32);
  const mask = (1 << bits) - 1;
  for (let tile = 0; tile < tileCount; tile++) {
    for (let n = 0; n < tileChannels; n++) {
      const o = tile * tileChannels + n;
      if (o >= outChannels) continue;
      for (let c = 0; c < inChannels; c++) {
        for (let tap = 0; tap < taps; tap++) {
          const code = codes[(o * inChannels + c) * taps + tap] & mask;
          const bit =
            (((tile * taps + tap) * words + (c >> 2)) * tileChannels + n) * bits * 4 + (c & 3) * bits;
          packed[bit >>> 5] |= code << (bit & 31);
        }
      }
    }
  }
  return packed;
}

/** Packs unsigned codes densely, `bits` (1, 2, 4, 8) each, first code lowest: what `codebook-expand` reads. */
export function packDense(codes: Uint8Array, bits: 1 | 2 | 4 | 8): Uint32Array {
  const perWord = 32 / bits;
  const packed = new Uint32Array(Math.ceil(codes.length / perWord));
  for (let i = 0; i < codes.length; i++)
    packed[Math.floor(i / perWord)] |= codes[i] << ((i % perWord) * bits);
  return packed;
}

/** The narrowest width the kernels store `bits` in. */
export function containerBits(bits: number): 8 | 4 | 2 {
  return bits <= 2 ? 2 : bits <= 4 ? 4 : 8;
}

/** The inverse of {@link tileWeights}: OIHW elements out of tiles, padding left behind. */
export function untileWeights<T extends Codes>(tiled: T, layout: TileLayout): T {
  const { shape, tileChannels, paddedChannels } = layout;
  const { outChannels, inChannels, kernelHeight, kernelWidth } = shape;
  const taps = kernelHeight * kernelWidth;
  const codes = new (tiled.constructor as new (n: number) => T)(outChannels * inChannels * taps) as T;
  for (let i = 0; i < codes.length; i++) {
    const o = Math.floor(i / (inChannels * taps));
    const c = Math.floor(i / taps) % inChannels;
    const row = (Math.floor(o / tileChannels) * taps + (i % taps)) * paddedChannels + c;
    codes[i] = tiled[row * tileChannels + (o % tileChannels)];
  }
  return codes;
}
