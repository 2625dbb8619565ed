// The int8 products of a word of every pixel, a word of the input times TILE_VECTORS vectors of weights by dot4I8Packed,
// and where their sums go. Needs lib/register-tile.wgsl, lib/packed-weights.wgsl, lib/int8-epilogue.wgsl,
// lib/int8-buffers.wgsl and of the kernel: const TILE_VECTORS, 1, 2 or 4.
//
// The weight vectors are taken one by one: an inner loop over TILE_VECTORS stays a loop on lavapipe, with its
// accumulators in memory, and costs a factor of three.

const PIXEL_SUMS: u32 = TILE_VECTORS;
const STEP_VECTORS: u32 = TILE_VECTORS;
alias Loaded = u32;
alias Sum = vec4i;

fn load_vectors(at: u32) -> array<vec4u, 4> {
  var b: array<vec4u, 4>;
  b[0] = load_weights(at);
  if (TILE_VECTORS > 1u) {
    b[1] = load_weights(at + 1u);
  }
  if (TILE_VECTORS > 2u) {
    b[2] = load_weights(at + 2u);
    b[3] = load_weights(at + 3u);
  }
  return b;
}

fn multiply(sums: ptr<function, Sums>, window: ptr<function, Window>, step: u32, at: u32, lane: u32) {
  let b = load_vectors(at);
  for (var i = 0u; i < TILE_PIXELS; i++) {
    let a = load_input(window.base[i] + step, window.inside[i]);
    let sum = i * TILE_VECTORS;
    sums[sum] += dot_int(a, b[0]);
    if (TILE_VECTORS > 1u) {
      sums[sum + min(1u, TILE_VECTORS - 1u)] += dot_int(a, b[1]);
    }
    if (TILE_VECTORS > 2u) {
      sums[sum + min(2u, TILE_VECTORS - 1u)] += dot_int(a, b[2]);
      sums[sum + min(3u, TILE_VECTORS - 1u)] += dot_int(a, b[3]);
    }
  }
}

/// Stores what pixel i of a thread's tile holds at `pixel`.
fn store_vectors(pixel: u32, tile: u32, sums: ptr<function, Sums>, i: u32) {
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    store(pixel, vector, unscale(sums[i * TILE_VECTORS + v]) + bias[vector]);
  }
}
