// The four 8-bit codes of a word, channel 4w in bits 0..7 of word w. Needs of the kernel: override SIGNED, 1 for int8
// codes, 0 for uint8 codes.

fn channels(word: u32) -> vec4i {
  let at_top = vec4u(word) << vec4u(24u, 16u, 8u, 0u);
  return select(vec4i(at_top >> vec4u(24u)), bitcast<vec4i>(at_top) >> vec4u(24u), SIGNED == 1u);
}

fn pack(codes: vec4i) -> u32 {
  let bytes = (vec4u(codes) & vec4u(255u)) << vec4u(0u, 8u, 16u, 24u);
  return bytes.x | bytes.y | bytes.z | bytes.w;
}
