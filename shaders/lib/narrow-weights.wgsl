// int8 weights of 8, 4 or 2 bits, four channels' four consecutive ones as a vec4u of pack4xI8 words.
//
// Narrow codes are two's complement and are moved to the TOP of their byte, i.e. multiplied by 2^(8 - bits): that
// needs no sign extension, still fits int8 (-8 * 16 = -128), and unscale() divides the accumulator by the same
// power of two, exactly. Layout, per vec4u: 8 bits: 4 words; 4 bits: 2 words, channel c in half c & 1 of word
// c >> 1; 2 bits: 1 word, channel c in byte c. Within a channel the first weight sits in the lowest bits.

const WEIGHT_BITS: u32 = 8u;

fn widen_nibbles(words: vec2u) -> vec4u {
  let halves = vec4u(words.x & 0xffffu, words.x >> 16u, words.y & 0xffffu, words.y >> 16u);
  let pairs = (halves | (halves << vec4u(8u))) & vec4u(0x00ff00ffu);
  return ((pairs << vec4u(4u)) & vec4u(0x00f000f0u)) | ((pairs << vec4u(8u)) & vec4u(0xf000f000u));
}

fn widen_crumbs(word: u32) -> vec4u {
  let bytes = vec4u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u, word >> 24u);
  return ((bytes & vec4u(3u)) << vec4u(6u)) | ((bytes & vec4u(12u)) << vec4u(12u))
    | ((bytes & vec4u(48u)) << vec4u(18u)) | ((bytes & vec4u(192u)) << vec4u(24u));
}

fn unscale(total: vec4i) -> vec4i {
  return total >> vec4u(8u - WEIGHT_BITS);
}
