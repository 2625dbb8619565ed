// The tile of an implicit GEMM that is staged in workgroup memory: TILE_PIXELS pixels by TILE_VECTORS vectors of four
// channels, TILE_ROWS rows of the inner dimension a step, which are TILE_WORDS loads of a pixel. One thread has
// THREAD_PIXELS by THREAD_VECTORS of them, as quads of pixels (whole pool windows) and vectors spread over the tile, so
// that a warp reads one input vector (broadcast) and neighbouring weight vectors (no bank twice). Needs
// lib/conv-pixel.wgsl and of the kernel: const TILE_WORDS and TILE_ROWS, alias Row, four elements of a row.

const TILE_PIXELS: u32 = 64u;
const TILE_VECTORS: u32 = 16u;
const THREAD_PIXELS: u32 = 8u;
const THREAD_VECTORS: u32 = 2u;
const BUFFERS: u32 = 1u;

const ROW_THREADS: u32 = TILE_PIXELS / THREAD_PIXELS;
const COLUMN_THREADS: u32 = TILE_VECTORS / THREAD_VECTORS;
const THREADS: u32 = ROW_THREADS * COLUMN_THREADS;
const QUADS: u32 = TILE_PIXELS / 4u;
const THREAD_QUADS: u32 = THREAD_PIXELS / 4u;
// One vector of padding spreads the staging threads' stores over the banks.
const QUAD_STRIDE: u32 = QUADS + 1u;
const STAGE_COLUMNS: u32 = THREADS / QUADS;
const STAGE_WORDS: u32 = TILE_WORDS / STAGE_COLUMNS;
const STAGE_VECTORS: u32 = TILE_ROWS * TILE_VECTORS / THREADS;
const SUMS: u32 = THREAD_PIXELS * THREAD_VECTORS;

// Element k of pixels 4q to 4q + 3, and of channel vector v.
var<workgroup> tile_input: array<Row, BUFFERS * TILE_ROWS * QUAD_STRIDE>;
var<workgroup> tile_weights: array<Row, BUFFERS * TILE_ROWS * TILE_VECTORS>;

/// The quad of a block's pixels that a thread stages.
fn staged_pixels(block: u32, quad: u32) -> array<Pixel, 4> {
  let first = block * TILE_PIXELS + quad * 4u;
  return array(locate(first), locate(first + 1u), locate(first + 2u), locate(first + 3u));
}
