// IEEE-754 binary32 arithmetic, round to nearest and ties to even, on bit patterns in u32/i32 arithmetic only.
//
//   f32_from_i32_bits(i)  f32_multiply_bits(a, b)  f32_add_bits(a, b)  f32_divide_bits(a, b)
//   round_half_even_to_i32(a)
//
// WGSL lets f32 `+ - *` round either way, `/` be 2.5 ULP off, subnormals be flushed and a*b+c be fused; u32 and
// i32 arithmetic is exact modulo 2^32. So these functions give the same bits on every adapter by the
// specification, and kernels whose codes depend on a float rule use them wherever native f32 is not known to be
// bit-equal (src/conv/requantize.ts checks that once a device).
//
// bit     31     30..23     22..0
//        sign | exponent | fraction     value = 1.fraction * 2^(exponent - 127); exponent 0: 0.fraction * 2^-126
//
// 64-bit unsigned integers are vec2u(low, high): WGSL has no u64.
// Edge cases: subnormals are kept, overflow gives infinity, every NaN comes out as 0x7fc00000; rounding to i32
// saturates, and a NaN rounds to 0.

const F32_SIGN: u32 = 0x80000000u;
const F32_INFINITY: u32 = 0x7f800000u;
const F32_NAN: u32 = 0x7fc00000u;

/// a * b in full. Each 16-bit partial product plus a 16-bit carry stays below 2^32.
fn multiply_wide(a: u32, b: u32) -> vec2u {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let low = a0 * b0;
  let middle = a1 * b0 + (low >> 16u);
  let cross = a0 * b1 + (middle & 0xffffu);
  return vec2u((cross << 16u) | (low & 0xffffu), a1 * b1 + (middle >> 16u) + (cross >> 16u));
}

/// (a + b) mod 2^64.
fn add_wide(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}

/// (a - b) mod 2^64.
fn subtract_wide(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn less_wide(a: vec2u, b: vec2u) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

/// floor(a / 2^count), for any count.
fn shift_right_wide(a: vec2u, count: u32) -> vec2u {
  if (count == 0u) { return a; }
  if (count < 32u) { return vec2u((a.x >> count) | (a.y << (32u - count)), a.y >> count); }
  return vec2u(select(0u, a.y >> (count & 31u), count < 64u), 0u);
}

/// (a * 2^count) mod 2^64, for any count.
fn shift_left_wide(a: vec2u, count: u32) -> vec2u {
  if (count == 0u) { return a; }
  if (count < 32u) { return vec2u(a.x << count, (a.y << count) | (a.x >> (32u - count))); }
  return vec2u(0u, select(0u, a.x << (count & 31u), count < 64u));
}

/// How many bits `a` needs: 0 for 0, 64 for 2^63 and above.
fn bit_length_wide(a: vec2u) -> u32 {
  return select(32u - countLeadingZeros(a.x), 64u - countLeadingZeros(a.y), a.y != 0u);
}

fn f32_is_nan_bits(a: u32) -> bool {
  return (a & ~F32_SIGN) > F32_INFINITY;
}

/// a / 2^count with every bit that falls off kept as a sticky lowest bit.
fn shift_right_sticky(a: u32, count: u32) -> u32 {
  if (count == 0u) { return a; }
  if (count > 31u) { return select(0u, 1u, a != 0u); }
  return (a >> count) | select(0u, 1u, (a << (32u - count)) != 0u);
}

/// Rounds significand * 2^(exponent - 31) to a float. Bit 31 of `significand` is set; bit 0 may be sticky.
fn f32_round_bits(sign: u32, exponent: i32, significand: u32) -> u32 {
  let biased = exponent + 127;
  if (biased >= 255) { return sign | F32_INFINITY; }
  let kept = shift_right_sticky(significand, u32(max(1 - biased, 0)));
  let rest = kept & 0xffu;
  let fraction = (kept >> 8u) + select(0u, 1u, rest > 128u || (rest == 128u && (kept & 0x100u) != 0u));
  // The implicit bit of `fraction`, or a carry out of it, adds one to the exponent field.
  return sign | ((u32(max(biased - 1, 0)) << 23u) + fraction);
}

/// The significand of a nonzero finite float with its leading bit at bit 31.
fn f32_significand(a: u32) -> u32 {
  let fraction = a & 0x7fffffu;
  if ((a & F32_INFINITY) != 0u) { return (fraction | 0x800000u) << 8u; }
  return fraction << countLeadingZeros(fraction);
}

/// The exponent of that leading bit: a = significand * 2^(exponent - 31).
fn f32_exponent(a: u32) -> i32 {
  if ((a & F32_INFINITY) != 0u) { return i32((a & F32_INFINITY) >> 23u) - 127; }
  return -118 - i32(countLeadingZeros(a & 0x7fffffu));
}

/// The float nearest to an i32.
fn f32_from_i32_bits(value: i32) -> u32 {
  if (value == 0) { return 0u; }
  let magnitude = select(u32(value), 0u - u32(value), value < 0);
  let zeros = countLeadingZeros(magnitude);
  return f32_round_bits(u32(value) & F32_SIGN, 31 - i32(zeros), magnitude << zeros);
}

/// a * b.
fn f32_multiply_bits(a: u32, b: u32) -> u32 {
  let sign = (a ^ b) & F32_SIGN;
  let x = a & ~F32_SIGN;
  let y = b & ~F32_SIGN;
  if (x > F32_INFINITY || y > F32_INFINITY) { return F32_NAN; }
  if (x == F32_INFINITY || y == F32_INFINITY) { return select(sign | F32_INFINITY, F32_NAN, x == 0u || y == 0u); }
  if (x == 0u || y == 0u) { return sign; }
  let product = multiply_wide(f32_significand(x), f32_significand(y));
  let sticky = select(0u, 1u, product.x != 0u);
  let exponent = f32_exponent(x) + f32_exponent(y);
  // Two significands in [2^31, 2^32) multiply to [2^62, 2^64): the leading bit is at 63 or 62.
  if ((product.y & F32_SIGN) != 0u) { return f32_round_bits(sign, exponent + 1, product.y | sticky); }
  return f32_round_bits(sign, exponent, (product.y << 1u) | (product.x >> 31u) | sticky);
}

/// a / b.
fn f32_divide_bits(a: u32, b: u32) -> u32 {
  let sign = (a ^ b) & F32_SIGN;
  let x = a & ~F32_SIGN;
  let y = b & ~F32_SIGN;
  if (x > F32_INFINITY || y > F32_INFINITY) { return F32_NAN; }
  if (x == F32_INFINITY) { return select(sign | F32_INFINITY, F32_NAN, y == F32_INFINITY); }
  if (y == 0u) { return select(sign | F32_INFINITY, F32_NAN, x == 0u); }
  if (x == 0u || y == F32_INFINITY) { return sign; }
  var remainder = f32_significand(x) >> 8u;
  let divisor = f32_significand(y) >> 8u;
  var exponent = f32_exponent(x) - f32_exponent(y);
  if (remainder < divisor) {
    remainder = remainder << 1u;
    exponent -= 1;
  }
  // One leading bit, then three digits of eight bits: 25 bits, and the remainder says whether more follow.
  var quotient = 1u;
  remainder -= divisor;
  for (var digit = 0; digit < 3; digit++) {
    remainder = remainder << 8u;
    quotient = (quotient << 8u) | (remainder / divisor);
    remainder = remainder % divisor;
  }
  return f32_round_bits(sign, exponent, (quotient << 7u) | select(0u, 1u, remainder != 0u));
}

/// a + b.
fn f32_add_bits(a: u32, b: u32) -> u32 {
  if (f32_is_nan_bits(a) || f32_is_nan_bits(b)) { return F32_NAN; }
  let swap = (a & ~F32_SIGN) < (b & ~F32_SIGN);
  let large = select(a, b, swap);
  let small = select(b, a, swap);
  let x = large & ~F32_SIGN;
  let y = small & ~F32_SIGN;
  let opposite = ((a ^ b) & F32_SIGN) != 0u;
  if (x == F32_INFINITY) { return select(large, F32_NAN, y == F32_INFINITY && opposite); }
  if (y == 0u) { return select(large, a & b, x == 0u); }
  // Leading bit at 30: one bit above for the carry, seven below for guard and sticky.
  let x_exponent = max(x >> 23u, 1u);
  let y_exponent = max(y >> 23u, 1u);
  let x_value = ((x & 0x7fffffu) | select(0u, 0x800000u, x >= 0x800000u)) << 7u;
  let y_full = ((y & 0x7fffffu) | select(0u, 0x800000u, y >= 0x800000u)) << 7u;
  let y_value = shift_right_sticky(y_full, x_exponent - y_exponent);
  let total = select(x_value + y_value, x_value - y_value, opposite);
  if (total == 0u) { return 0u; }
  let zeros = countLeadingZeros(total);
  return f32_round_bits(large & F32_SIGN, i32(x_exponent) - 126 - i32(zeros), total << zeros);
}

/// The nearest integer, ties to even; saturates to the i32 range, NaN gives 0.
fn round_half_even_to_i32(a: u32) -> i32 {
  let x = a & ~F32_SIGN;
  let negative = (a & F32_SIGN) != 0u;
  if (x > F32_INFINITY || x < 0x3f000000u) { return 0; }
  if (x >= 0x4f000000u) { return select(0x7fffffff, i32(-0x7fffffff) - 1, negative); }
  let exponent = (x >> 23u) - 127u + 1u; // 0 for [0.5, 1): how many integer bits there are
  let fraction = (x & 0x7fffffu) | 0x800000u;
  var magnitude = 0u;
  if (exponent >= 24u) {
    magnitude = fraction << (exponent - 24u);
  } else {
    let dropped = 24u - exponent;
    let half = 1u << (dropped - 1u);
    let rest = fraction & ((half << 1u) - 1u);
    magnitude = fraction >> dropped;
    magnitude += select(0u, 1u, rest > half || (rest == half && (magnitude & 1u) == 1u));
  }
  return select(i32(magnitude), -i32(magnitude), negative);
}
