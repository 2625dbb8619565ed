import type { Specialization } from '../gpu/kernel.ts';
import type { Limits } from './tiled-tile.ts';
import { isAligned, type TileLayout, type WeightShape } from './weight-layout.ts';

/** The matrices that an adapter multiplies at once: i8 operands, i32 sums. */
export interface TensorCores {
  M: number;
  N: number;
  K: number;
  subgroupSize: number;
  /** What matrix loads count for a vec4u; see `shaders/conv2d-int8-tensor.wgsl`. */
  units: 1 | 16;
}

/** Matrices a subgroup keeps, and subgroups a workgroup has. */
export interface TensorTile {
  matricesM: number;
  matricesN: number;
  subgroupsM: number;
  subgroupsN: number;
  /** 16-byte vectors of k staged a step. */
  stepVectors: number;
}

/** Pixels and channels of a workgroup. */
export function tensorTileSize({ M, N }: TensorCores, tile: TensorTile): [pixels: number, channels: number] {
  return [M * tile.matricesM * tile.subgroupsM, N * tile.matricesN * tile.subgroupsN];
}

/** Every tile that fits this adapter's workgroups, largest first: what a tuner picks among. */
export function tensorTiles(limits: Limits, cores: TensorCores): TensorTile[] {
  const tiles: TensorTile[] = [];
  for (const [matricesM, matricesN, subgroupsM, subgroupsN] of [
    [4, 4, 2, 2],
    [4, 2, 2, 4],
    [4, 2, 2, 2],
    [2, 2, 2, 2],
  ]) {
    const tile = { matricesM, matricesN, subgroupsM, subgroupsN, stepVectors: 4 };
    const [pixels, channels] = tensorTileSize(cores, tile);
    const subgroups = subgroupsM * subgroupsN;
    const threads = subgroups * cores.subgroupSize;
    const bytes =
      (pixels + channels) * (tile.stepVectors + 1) * 16 + subgroups * cores.M * cores.N * matricesN * 4;
    const whole = [(pixels * tile.stepVectors) / threads, (channels * tile.stepVectors) / threads];
    if (
      whole.every(Number.isInteger) &&
      threads <= limits.maxComputeInvocationsPerWorkgroup &&
      bytes <= limits.maxComputeWorkgroupStorageSize
    )
      tiles.push(tile);
  }
  return tiles;
}

/** Fewer workgroups than this leave most of a large GPU idle; the dp4a kernel then splits k and does better. */
const LEAST_WORKGROUPS = 64;

/**
 * The largest tile that fills the adapter with this product, or null where none does, its groups have other sizes than
 * every tile, or their channels are not whole vectors of 16.
 */
export function chooseTensor(
  limits: Limits,
  cores: TensorCores,
  pixelCount: number,
  shape: WeightShape,
): TensorTile | null {
  if ((shape.inChannels / shape.groups) % 16 !== 0) return null;
  const fits = tensorTiles(limits, cores).filter((tile) => {
    const [pixels, channels] = tensorTileSize(cores, tile);
    const workgroups = Math.ceil(pixelCount / pixels) * Math.ceil(shape.outChannels / channels);
    return isAligned(shape, channels / 4) && workgroups >= LEAST_WORKGROUPS;
  });
  // Half of a tile's channels empty is half of its work lost.
  return fits.find((tile) => shape.outChannels > tensorTileSize(cores, tile)[1] / 2) ?? fits.at(-1) ?? null;
}

/** A tile as the shader's constants. */
export function tensorSpecialization(cores: TensorCores, tile: TensorTile): Specialization {
  return {
    MATRIX_M: `${cores.M}u`,
    MATRIX_N: `${cores.N}u`,
    MATRIX_K: `${cores.K}u`,
    MATRICES_M: `${tile.matricesM}u`,
    MATRICES_N: `${tile.matricesN}u`,
    SUBGROUPS_M: `${tile.subgroupsM}u`,
    SUBGROUPS_N: `${tile.subgroupsN}u`,
    SUBGROUP_SIZE: `${cores.subgroupSize}u`,
    STEP_VECTORS: `${tile.stepVectors}u`,
    UNITS: `${cores.units}u`,
  };
}

/**
 * Weights as matrix loads want them: out of [tile][k word][channel] (what `packTiles` makes of 8-bit codes) into
 * [tile][step][channel][words of the step], zeros past the last word.
 */
export function tensorWeights(words: Uint32Array, layout: TileLayout, stepWords: number): Uint32Array {
  const { tileCount, tileChannels } = layout;
  const kernelWords = words.length / (tileCount * tileChannels);
  const steps = Math.ceil(kernelWords / stepWords);
  const stepped = new Uint32Array(tileCount * steps * tileChannels * stepWords);
  for (let tile = 0; tile < tileCount; tile++) {
    for (let k = 0; k < kernelWords; k++) {
      const step = Math.floor(k / stepWords);
      for (let n = 0; n < tileChannels; n++) {
        const to = ((tile * steps + step) * tileChannels + n) * stepWords + (k % stepWords);
        stepped[to] = words[(tile * kernelWords + k) * tileChannels + n];
      }
    }
  }
  return stepped;
}
