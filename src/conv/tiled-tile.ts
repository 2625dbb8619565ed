import { check } from '../gpu/errors.ts';
import type { Specialization } from '../gpu/kernel.ts';
import { isAligned, type WeightShape } from './weight-layout.ts';

/** What a workgroup-tiled convolution computes at once; the constants of the tiled shaders. */
export interface TiledTile {
  /** Output pixels and vectors of four output channels a workgroup. */
  tilePixels: number;
  tileVectors: number;
  /** Words (int8) or vectors (floats) of four input channels staged a step. */
  tileWords: number;
  threadPixels: number;
  threadVectors: number;
  buffers: 1 | 2;
}

/** A convolution as an implicit GEMM; awkward groups as the dense one they are run as. */
export interface GemmShape {
  /** Rows: output pixels, those that a pool's windows hold included. */
  pixelCount: number;
  /** Columns. */
  outChannels: number;
  /** Words of four input channels that one group's pixel has, and over all taps. */
  groupWords: number;
  kernelWords: number;
}

/** The limits that workgroups live within. */
export type Limits = Pick<
  GPUSupportedLimits,
  'maxComputeWorkgroupStorageSize' | 'maxComputeInvocationsPerWorkgroup'
>;

/** What is staged: int8 words, or channels of floats, four times as many rows of a step. */
export type TiledElement = 'int8' | 'f32' | 'f16';

const ROW_BYTES: Record<TiledElement, number> = { int8: 16, f32: 64, f16: 32 };

/** Enough workgroups for every core of a large GPU (132 on an H200) to have two. */
const FULL = 264;

/** Largest first. Each fits 64 lanes or more and gives every thread 64 sums, but the last two for few pixels. */
const TILES: readonly Omit<TiledTile, 'buffers'>[] = [
  { tilePixels: 128, tileVectors: 32, tileWords: 16, threadPixels: 8, threadVectors: 2 },
  { tilePixels: 128, tileVectors: 16, tileWords: 16, threadPixels: 8, threadVectors: 2 },
  { tilePixels: 64, tileVectors: 16, tileWords: 16, threadPixels: 8, threadVectors: 2 },
  { tilePixels: 32, tileVectors: 16, tileWords: 16, threadPixels: 4, threadVectors: 2 },
  { tilePixels: 16, tileVectors: 16, tileWords: 16, threadPixels: 4, threadVectors: 1 },
  { tilePixels: 64, tileVectors: 8, tileWords: 16, threadPixels: 8, threadVectors: 1 },
];

/** Bytes of workgroup memory. */
function tiledBytes(tile: TiledTile, element: TiledElement = 'int8'): number {
  return tile.buffers * tile.tileWords * (tile.tilePixels / 4 + 1 + tile.tileVectors) * ROW_BYTES[element];
}

function tiledThreads(tile: Omit<TiledTile, 'buffers'>): number {
  return (tile.tilePixels / tile.threadPixels) * (tile.tileVectors / tile.threadVectors);
}

/**
 * Refuses a tile that the shader cannot stage evenly or the adapter cannot hold.
 *
 * @throws LloydError naming the number that does not divide, or the limit
 * @example
 * checkTiled(device.limits, { tilePixels: 64, tileVectors: 16, tileWords: 16, threadPixels: 8, threadVectors: 2, buffers: 1 });
 */
export function checkTiled(limits: Limits, tile: TiledTile, element: TiledElement = 'int8'): void {
  const threads = tiledThreads(tile);
  const columns = threads / (tile.tilePixels / 4);
  check(
    Number.isInteger(threads) && Number.isInteger(columns) && tile.tileWords % columns === 0,
    'the threads of a tile must be a multiple of its pixel quads, and tileWords of the quotient',
    [threads, tile.tilePixels / 4, tile.tileWords],
  );
  const vectors = tile.tileWords * tile.tileVectors * (element === 'int8' ? 1 : 4);
  check(vectors % threads === 0, 'the weight vectors of a step must divide among the threads', [
    vectors,
    threads,
  ]);
  check(
    threads <= limits.maxComputeInvocationsPerWorkgroup,
    `a workgroup may have ${limits.maxComputeInvocationsPerWorkgroup} threads on this adapter`,
    threads,
  );
  check(
    tiledBytes(tile, element) <= limits.maxComputeWorkgroupStorageSize,
    `a tile must fit the adapter's ${limits.maxComputeWorkgroupStorageSize} bytes of workgroup memory`,
    tiledBytes(tile, element),
  );
}

/** Every tile that this adapter and these groups allow, largest first: what a tuner picks among. */
export function tiledTiles(limits: Limits, shape: WeightShape, element: TiledElement = 'int8'): TiledTile[] {
  const fits = (tile: TiledTile) => tiledBytes(tile, element) <= limits.maxComputeWorkgroupStorageSize;
  const tiles = TILES.map((each): TiledTile => {
    // Floats stage as few channels as there are threads for: a row of theirs takes as much as a word of int8.
    const columns = tiledThreads(each) / (each.tilePixels / 4);
    const tile = element === 'int8' ? each : { ...each, tileWords: Math.max(4, columns) };
    const twice: TiledTile = { ...tile, buffers: 2 };
    return fits(twice) ? twice : { ...tile, buffers: 1 };
  }).filter((tile) => fits(tile) && tiledThreads(tile) <= limits.maxComputeInvocationsPerWorkgroup);
  const aligned = tiles.filter(({ tileVectors }) => isAligned(shape, tileVectors));
  // Groups that no tile divides are made dense by the caller, for whichever tile.
  return aligned.length > 0 ? aligned : tiles;
}

/** The implicit GEMM that a tile makes of a convolution. */
export function gemmShape(pixelCount: number, shape: WeightShape, tileVectors: number): GemmShape {
  const perGroup = isAligned(shape, tileVectors) ? shape.inChannels : shape.inChannels * shape.groups;
  const groupWords = Math.ceil(perGroup / 4);
  const kernelWords = shape.kernelHeight * shape.kernelWidth * groupWords;
  return { pixelCount, outChannels: shape.outChannels, groupWords, kernelWords };
}

/**
 * The tile of a product before any tuning: the largest that still gives every core work and leaves no half of its
 * channels empty, or that does so once k is split ({@link splitsFor}).
 */
export function chooseTiled(
  limits: Limits,
  pixelCount: number,
  shape: WeightShape,
  element: TiledElement = 'int8',
): TiledTile {
  const tiles = tiledTiles(limits, shape, element);
  const full = tiles.filter(
    ({ tileVectors, tilePixels }) =>
      (tileVectors === 8 || shape.outChannels > tileVectors * 2) &&
      (tilePixels === 16 || pixelCount > tilePixels / 2),
  );
  const work = (tile: TiledTile, split: boolean) => {
    const gemm = gemmShape(pixelCount, shape, tile.tileVectors);
    return workgroupsOf(tile, gemm) * (split ? splitsFor(tile, gemm) : 1);
  };
  return (
    full.find((tile) => work(tile, false) >= FULL) ??
    full.find((tile) => work(tile, true) >= FULL / 2) ??
    full.at(-1) ??
    tiles[tiles.length - 1]
  );
}

function workgroupsOf(tile: TiledTile, { pixelCount, outChannels }: GemmShape): number {
  return Math.ceil(pixelCount / tile.tilePixels) * Math.ceil(outChannels / (tile.tileVectors * 4));
}

/** How many workgroups share one tile's k, so that a small product still fills the GPU: at least four steps each. */
export function splitsFor(tile: TiledTile, shape: GemmShape): number {
  const steps = Math.ceil(shape.kernelWords / tile.tileWords);
  const wanted = Math.floor(FULL / workgroupsOf(tile, shape));
  return Math.max(1, Math.min(wanted, Math.floor(steps / 4), 64));
}

/** A tile as the constants of `conv2d-int8-tiled`; `groupWords` says how many words in a row belong to one tap. */
export function tiledSpecialization(tile: TiledTile, groupWords: number): Specialization {
  const staged = (tile.tileWords * tile.tilePixels) / 4 / tiledThreads(tile);
  const run = [4, 2, 1].find((words) => groupWords % words === 0 && staged % words === 0) ?? 1;
  return { ...tiledFloatSpecialization(tile), WORD_RUN: `${run}u` };
}

/** A tile as the constants of `shaders/lib/tiled-float.wgsl`. */
export function tiledFloatSpecialization(tile: TiledTile): Specialization {
  return {
    TILE_PIXELS: `${tile.tilePixels}u`,
    TILE_VECTORS: `${tile.tileVectors}u`,
    TILE_WORDS: `${tile.tileWords}u`,
    THREAD_PIXELS: `${tile.threadPixels}u`,
    THREAD_VECTORS: `${tile.threadVectors}u`,
    BUFFERS: `${tile.buffers}u`,
  };
}
