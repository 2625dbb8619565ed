// Loads a vec4u of weights from a storage buffer `weights` of words. Needs lib/narrow-weights.wgsl.

fn load_weights(vector: u32) -> vec4u {
  if (WEIGHT_BITS == 8u) {
    let at = vector * 4u;
    return vec4u(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
  }
  if (WEIGHT_BITS == 4u) {
    return widen_nibbles(vec2u(weights[vector * 2u], weights[vector * 2u + 1u]));
  }
  return widen_crumbs(weights[vector]);
}
