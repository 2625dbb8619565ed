// Loads four channels' four consecutive int8 weights (a vec4u of pack4xI8 words) from codes of 8, 4 or 2 bits.
//
// Narrow codes are two's complement and are moved to the TOP of their byte, i.e. multiplied by 2^(8 - bits): that
// needs no sign extension, still fits int8 (-8 * 16 = -128), and unscale() divides the accumulator by the same
// power of two, exactly. Layout, per vec4u: 8 bits: 4 words; 4 bits: 2 words, channel c in half c & 1 of word
// c >> 1; 2 bits: 1 word, channel c in byte c. Within a channel the first weight sits in the lowest bits.

const WEIGHT_BITS: u32 = 8u;

fn spread_nibbles(halves: vec4u) -> vec4u {
  let pairs = (halves | (halves << vec4u(8u))) & vec4u(0x00ff00ffu);
  return ((pairs << vec4u(4u)) & vec4u(0x00f000f0u)) | ((pairs << vec4u(8u)) & vec4u(0xf000f000u));
}

fn spread_crumbs(bytes: vec4u) -> vec4u {
  return ((bytes & vec4u(3u)) << vec4u(6u)) | ((bytes & vec4u(12u)) << vec4u(12u))
    | ((bytes & vec4u(48u)) << vec4u(18u)) | ((bytes & vec4u(192u)) << vec4u(24u));
}

fn load_weights(vector: u32) -> vec4u {
  if (WEIGHT_BITS == 8u) {
    let at = vector * 4u;
    return vec4u(weights[at], weights[at + 1u], weights[at + 2u], weights[at + 3u]);
  }
  if (WEIGHT_BITS == 4u) {
    let low = weights[vector * 2u];
    let high = weights[vector * 2u + 1u];
    return spread_nibbles(vec4u(low & 0xffffu, low >> 16u, high & 0xffffu, high >> 16u));
  }
  let word = weights[vector];
  return spread_crumbs(vec4u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u, word >> 24u));
}

fn unscale(total: vec4i) -> vec4i {
  return total >> vec4u(8u - WEIGHT_BITS);
}
