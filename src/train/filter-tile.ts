import type { Specialization } from '../gpu/kernel.ts';

/** What a workgroup of `conv2d-filter-gradient-tiled` computes at once; the constants of the shader. */
export interface FilterTile {
  /** Vectors of four input channels under a tap, and of four output channels. */
  tileRows: number;
  tileColumns: number;
  /** Pixels staged a step. */
  tilePixels: number;
  threadRows: number;
  threadColumns: number;
}

/** A filter gradient as a matrix product: vectors of rows and columns, and the pixels that it sums over. */
export interface FilterGemm {
  rows: number;
  columns: number;
  pixelCount: number;
}

/** Largest first. Each fits the workgroup memory and the threads that every WebGPU adapter has. */
export const filterTiles: readonly FilterTile[] = [
  { tileRows: 32, tileColumns: 32, tilePixels: 8, threadRows: 2, threadColumns: 2 },
  { tileRows: 32, tileColumns: 16, tilePixels: 8, threadRows: 2, threadColumns: 2 },
  { tileRows: 16, tileColumns: 16, tilePixels: 8, threadRows: 2, threadColumns: 2 },
  { tileRows: 16, tileColumns: 8, tilePixels: 8, threadRows: 1, threadColumns: 2 },
  { tileRows: 16, tileColumns: 4, tilePixels: 16, threadRows: 1, threadColumns: 1 },
  { tileRows: 8, tileColumns: 8, tilePixels: 8, threadRows: 1, threadColumns: 1 },
];

/** About a thousand threads for every core of a large GPU (132 on an H200). */
const FULL_THREADS = 131072;
/** `sum-splits` adds the parts one by one. */
const MOST_SPLITS = 528;
/** Below this the sums' way to memory costs as much as they do. */
const LEAST_PIXELS = 64;
const PARTIAL_BYTES = 64 << 20;

/**
 * The tile that costs least: its sums, padding included, times the vectors that a multiply-add of 4 x 4 takes from
 * workgroup memory and, four times as dear, from memory.
 */
export function chooseFilterTile({ rows, columns }: FilterGemm): FilterTile {
  const cost = ({ tileRows, tileColumns, threadRows, threadColumns }: FilterTile) =>
    Math.ceil(rows / tileRows) *
    tileRows *
    Math.ceil(columns / tileColumns) *
    tileColumns *
    (1 / threadRows + 1 / threadColumns + 4 / tileRows + 4 / tileColumns);
  return filterTiles.reduce((best, tile) => (cost(tile) < cost(best) ? tile : best));
}

/** Pixels of a split, so that a small layer fills a GPU and partial sums of `length` elements stay below 64 MiB. */
export function filterChunk(tile: FilterTile, { rows, columns, pixelCount }: FilterGemm, length: number) {
  const tiles = Math.ceil(rows / tile.tileRows) * Math.ceil(columns / tile.tileColumns);
  const wanted = Math.ceil(FULL_THREADS / (tiles * filterThreads(tile)));
  const room = Math.max(1, Math.floor(PARTIAL_BYTES / (length * 4)));
  const chunk = Math.max(LEAST_PIXELS, Math.ceil(pixelCount / Math.min(wanted, room, MOST_SPLITS)));
  return Math.ceil(chunk / tile.tilePixels) * tile.tilePixels;
}

/** Threads of a workgroup. */
export function filterThreads({ tileRows, tileColumns, threadRows, threadColumns }: FilterTile): number {
  return (tileRows / threadRows) * (tileColumns / threadColumns);
}

/** A tile as the constants of `conv2d-filter-gradient-tiled`. */
export function filterSpecialization(tile: FilterTile): Specialization {
  return {
    TILE_ROWS: `${tile.tileRows}u`,
    TILE_COLUMNS: `${tile.tileColumns}u`,
    TILE_PIXELS: `${tile.tilePixels}u`,
    THREAD_ROWS: `${tile.threadRows}u`,
    THREAD_COLUMNS: `${tile.threadColumns}u`,
  };
}
