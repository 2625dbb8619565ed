// The weight vectors of a register tile at one input word. Needs lib/packed-weights.wgsl and of the kernel: const
// TILE_VECTORS, 1, 2 or 4.

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
