// Whether an element of any dtype is a NaN, by its bits: an adapter may compile floats as if there were none. Needs the
// kernel's alias `Element` and its override `IS_FLOAT`.

fn not_a_number(x: Element) -> bool {
  return IS_FLOAT == 1u && (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
