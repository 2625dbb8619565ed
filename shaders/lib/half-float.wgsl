// binary16 to and from binary32 bit patterns in integers. Needs lib/exact-float.wgsl.
//
//   f16_to_f32_bits(h)   exact
//   f32_to_f16_bits(f)   round to nearest, ties to even; overflow gives infinity, NaN gives 0x7e00
//
// WGSL leaves the rounding of f32 to f16 open, and the f16 type is an optional feature; this needs neither.

fn f16_to_f32_bits(half: u32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let exponent = (half >> 10u) & 31u;
  let fraction = half & 0x3ffu;
  if (exponent == 31u) { return select(sign | F32_INFINITY, F32_NAN, fraction != 0u); }
  if (exponent != 0u) { return sign | ((exponent + 112u) << 23u) | (fraction << 13u); }
  if (fraction == 0u) { return sign; }
  let zeros = countLeadingZeros(fraction);
  return sign | f32_round_bits(0u, 7 - i32(zeros), fraction << zeros);
}

fn f32_to_f16_bits(value: u32) -> u32 {
  let sign = (value & F32_SIGN) >> 16u;
  let magnitude = value & ~F32_SIGN;
  if (magnitude > F32_INFINITY) { return 0x7e00u; }
  if (magnitude >= 0x477ff000u) { return sign | 0x7c00u; } // 65520, halfway from the largest half to 2^16
  if (magnitude < 0x33000000u) { return sign; } // below 2^-25, half of the smallest half
  let exponent = i32(magnitude >> 23u) - 127;
  // Below 2^-14 the halves are subnormal: each power of two down costs a bit.
  let dropped = u32(13 + max(-14 - exponent, 0));
  let fraction = (magnitude & 0x7fffffu) | 0x800000u;
  let half = 1u << (dropped - 1u);
  let rest = fraction & ((half << 1u) - 1u);
  var kept = fraction >> dropped;
  kept += select(0u, 1u, rest > half || (rest == half && (kept & 1u) == 1u));
  // The implicit bit of a normal half adds one to its exponent field.
  return sign | ((u32(max(exponent + 14, 0)) << 10u) + kept);
}
