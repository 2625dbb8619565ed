// Finite float32 numbers as unsigned keys of the same order, and their exact arithmetic in integers.
//
//   key(x) = 2^31 + magnitude bits of x, or 2^31 - magnitude bits where x is negative
//
// Keys of finite numbers lie from 2^23 + 1 to 2^32 - 2^23 - 1; 0 and -0 share 2^31. Key 0 is no number: it is below
// every threshold, and all its limbs are 0, so that it can pad.
//
// A number is a sum of limbs: its magnitude in units of 2^(unit - 150), cut into digits of 24 bits, plane p holding
// bits 24 p to 24 p + 23, each with the sign of the number, and 2^24 added to stay unsigned. All limbs of all planes
// together are the number exactly, so that integer sums of limbs are exact sums of floats.

const ZERO_KEY: u32 = 0x80000000u;
const ZERO_LIMB: u32 = 1u << 24u;

fn key_of_bits(bits: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  return select(ZERO_KEY + magnitude, ZERO_KEY - magnitude, (bits >> 31u) == 1u);
}

fn magnitude_of_key(key: u32) -> u32 {
  return select(key - ZERO_KEY, ZERO_KEY - key, key < ZERO_KEY);
}

// Biased exponent, at least 1: a subnormal has that of the smallest normal number, without the implicit bit.
fn exponent_of(magnitude: u32) -> u32 {
  return max(magnitude >> 23u, 1u);
}

fn significand_of(magnitude: u32) -> u32 {
  return select((magnitude & 0x7fffffu) | 0x800000u, magnitude & 0x7fffffu, magnitude < 0x800000u);
}

// The 24 bits of a number from 2^(base - 150) up, where base = unit + 24 plane.
fn limb_of_key(key: u32, base: i32) -> u32 {
  let magnitude = magnitude_of_key(key);
  let significand = significand_of(magnitude);
  let up = i32(exponent_of(magnitude)) - base;
  // Shifts of 32 and more must not happen: hence the masks, and the selects that make up for them.
  let left = select(0u, (significand << u32(up & 31)) & 0xffffffu, up >= 0 && up < 24);
  let right = select(0u, significand >> u32(-up & 31), up < 0 && up > -24);
  let limb = left | right;
  return select(select(ZERO_LIMB + limb, ZERO_LIMB - limb, key < ZERO_KEY), 0u, key == 0u);
}

// The key of the largest float32 number that is not above (a + b) / 2.
fn midpoint_key(a: u32, b: u32) -> u32 {
  let first = magnitude_of_key(a);
  let second = magnitude_of_key(b);
  let large = max(first, second);
  let small = min(first, second);
  let gap = exponent_of(large) - exponent_of(small);
  let large_negative = select(b, a, first == large) < ZERO_KEY;
  let small_negative = select(a, b, first == large) < ZERO_KEY;
  // Three bits below the larger significand: a sum that cancels more than one bit has a gap of at most 1, and is
  // exact; of all others only the floor matters, which an arithmetic shift keeps.
  let wide = i32(significand_of(large) << 3u);
  let narrow = i32(significand_of(small) << 3u);
  let sum = select(wide, -wide, large_negative) + (select(narrow, -narrow, small_negative) >> min(gap, 31u));
  if (sum == 0) {
    return ZERO_KEY;
  }
  let value = u32(abs(sum));
  let exponent = i32(exponent_of(large));
  // `value` counts 2^(exponent - 154). 24 significant bits stay, and none below the smallest subnormal.
  let drop = max(8 - i32(countLeadingZeros(value)), 5 - exponent);
  var significand = value << u32(max(-drop, 0));
  if (drop > 0) {
    significand = value >> u32(min(drop, 31));
    // Away from zero for a negative sum, which is down.
    let lost = drop > 31 || (significand << u32(drop)) != value;
    significand += select(0u, 1u, sum < 0 && lost);
  }
  let magnitude = significand + (u32(exponent + drop - 5) << 23u);
  return select(ZERO_KEY + magnitude, ZERO_KEY - magnitude, sum < 0);
}
