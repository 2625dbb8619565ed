// Requantization: an int32 accumulator to an output code, by one of six named rules. Needs lib/exact-float.wgsl.
//
//   code = clamp(round(accumulator * M) + zero_point, low, high), M = inputScale * weightScale / outputScale
//
// where `round`, the width of M and the place of the zero point are the rule's (REQUANTIZE):
//
//   0  ort-f32        rne(clamp(f32(f32(acc) * M), low - z, high - z)) + z   native f32: only where the start-up
//   1  ort-f32        the same in integers, exact on every adapter           check found it bit-equal to 1
//   2  onnx-ref       rne(f64(f64(acc * M) + z)), in integers: acc * M rounded to 53 bits, then the sum
//   3  tflite-double  RDBPOT(SRDHM(acc * 2^left, Q), right): rounds twice, the first half up, the second away
//   4  tflite-single  (acc * Q + 2^(shift - 1)) >> shift, 64-bit: ties toward +infinity
//   5  xnn-rndnu      the same with a 24-bit mantissa
//   6  lab            rne(f32(f32(f32(acc) * M) + f32(z))) native f32 but for the sum: only where found equal to 7
//   7  lab            the same in integers
//
// multiplier (vec2u, made by prepareMultipliers in src/conv/requantize.ts):
//   0, 1, 2, 6, 7   x = bits of f32 M = f32(f32(inputScale * weightScale) / outputScale)          y = 0
//   3               x = Q, a Q31 mantissa in [2^30, 2^31) or 0                                     y = exponent e
//   4, 5            x = Q, or the 24-bit mantissa of f32 M                                         y = shift
//
// Every thread calls it alone. REQUANTIZE is a const that the host replaces, so one branch is compiled.
// Edge cases: |zero_point|, |low| and |high| below 2^24; results saturate at [low, high], also where the
// accumulator times 2^left leaves int32 (undefined in TFLite). A ReLU is a larger `low`.

const REQUANTIZE: u32 = 0u;

/// floor((value + 2^(shift - 1)) / 2^shift) for value = magnitude or -magnitude, saturated to +-(2^31 - 1).
/// For a negative value that is -((magnitude + 2^(shift - 1) - 1) >> shift), so magnitudes suffice.
fn rounding_shift(magnitude: vec2u, negative: bool, shift: i32) -> i32 {
  var rounded = magnitude;
  if (shift > 62) {
    rounded = vec2u(0u);
  } else if (shift > 0) {
    let half = subtract_wide(shift_left_wide(vec2u(1u, 0u), u32(shift - 1)), vec2u(select(0u, 1u, negative), 0u));
    rounded = shift_right_wide(add_wide(magnitude, half), u32(shift));
  } else if (bit_length_wide(magnitude) + u32(-shift) > 31u && any(magnitude != vec2u(0u))) {
    rounded = vec2u(0u, 1u);
  } else {
    rounded = shift_left_wide(magnitude, u32(-shift));
  }
  let saturated = i32(select(rounded.x, 0x7fffffffu, rounded.y != 0u || rounded.x > 0x7fffffffu));
  return select(saturated, -saturated, negative);
}

/// TFLite's RoundingDivideByPOT: the nearest multiple of 2^-exponent, ties away from zero.
fn rounding_divide_by_power_of_two(value: i32, exponent: u32) -> i32 {
  let mask = (1u << exponent) - 1u;
  let remainder = u32(value) & mask;
  let threshold = (mask >> 1u) + select(0u, 1u, value < 0);
  return (value >> exponent) + select(0, 1, remainder > threshold);
}

fn magnitude_of(value: i32) -> u32 {
  return select(u32(value), 0u - u32(value), value < 0);
}

fn requantize_tflite_double(accumulator: i32, mantissa: u32, exponent: i32) -> i32 {
  let magnitude = magnitude_of(accumulator);
  let left = u32(max(exponent, 0));
  let right = u32(max(-exponent, 0));
  // With left > 0 the mantissa is at least 2^30, so a shifted accumulator outside int32 is outside any code.
  if (left > 31u || (magnitude << left) >> left != magnitude || (magnitude << left) > 0x7fffffffu) {
    if (left > 0u && magnitude != 0u && mantissa != 0u) {
      return select(0x7fffffff, -0x7fffffff, accumulator < 0);
    }
  }
  let product = multiply_wide(magnitude << (left & 31u), mantissa);
  let doubled_high = rounding_shift(product, accumulator < 0, 31);
  return rounding_divide_by_power_of_two(doubled_high, right);
}

/// rne(f64(f64(accumulator * multiplier) + zero_point)) with every step's rounding that float64 would do.
fn requantize_onnx_reference(accumulator: i32, multiplier: u32, zero_point: i32) -> i32 {
  if (accumulator == 0 || multiplier == 0u) { return zero_point; }
  let negative = accumulator < 0;
  // |accumulator| * M = product * 2^exponent, at most 56 bits.
  var product = multiply_wide(magnitude_of(accumulator), f32_significand(multiplier) >> 8u);
  var exponent = f32_exponent(multiplier) - 23;
  let excess = i32(bit_length_wide(product)) - 53;
  if (excess > 0) {
    let odd = shift_right_wide(product, u32(excess)).x & 1u;
    product = add_wide(product, vec2u((1u << u32(excess - 1)) - 1u + odd, 0u));
    product = shift_right_wide(product, u32(excess));
    exponent += excess;
  }
  let size = i32(bit_length_wide(product)) + exponent; // |accumulator * M| is in [2^(size - 1), 2^size)
  if (size > 30) { return select(0x3fffffff, -0x3fffffff, negative); }
  if (size < -1) { return zero_point; }
  if (exponent >= 0) {
    let whole = i32(shift_left_wide(product, u32(exponent)).x);
    return select(whole, -whole, negative) + zero_point;
  }
  let fraction_bits = u32(-exponent); // at most 55, because the size is at least -1 and the product has 53 bits
  let whole = i32(shift_right_wide(product, fraction_bits).x);
  let fraction = subtract_wide(product, shift_left_wide(vec2u(u32(whole), 0u), fraction_bits));
  let half = shift_left_wide(vec2u(1u, 0u), fraction_bits - 1u);
  let below_half = less_wide(fraction, half);
  var distance = subtract_wide(fraction, half);
  if (below_half) { distance = subtract_wide(half, fraction); }
  // The sum is floor + (fraction of it); seen from below, a negative product's fraction is 1 - fraction.
  let any_fraction = any(fraction != vec2u(0u));
  let floor_of_product = select(whole, -whole - select(0, 1, any_fraction), negative);
  let lower = floor_of_product + zero_point;
  // Adding the zero point rounds the sum to 53 bits. Around a half-integer, an even multiple of the last bit
  // kept, everything within half of that bit (ties included) becomes the half-integer itself.
  let whole_of_sum = u32(select(lower, -lower - 1, lower < 0));
  let sum_bits = i32(32u - countLeadingZeros(whole_of_sum));
  let dropped = select(i32(fraction_bits) - (53 - sum_bits), 0, zero_point == 0);
  var tie = all(distance == vec2u(0u));
  if (dropped > 0) { tie = !less_wide(shift_left_wide(vec2u(1u, 0u), u32(dropped - 1)), distance); }
  let above_half = any_fraction && (below_half == negative);
  return lower + select(select(0, 1, above_half), lower & 1, tie);
}

fn requantize(accumulator: i32, multiplier: vec2u, zero_point: i32, low: i32, high: i32) -> i32 {
  if (REQUANTIZE == 0u) {
    let scaled = f32(accumulator) * bitcast<f32>(multiplier.x);
    return i32(round(clamp(scaled, f32(low - zero_point), f32(high - zero_point)))) + zero_point;
  }
  if (REQUANTIZE == 6u) {
    // The sum in integers: NVIDIA's compiler fuses it with the product in one kernel and not in another (H200, driver
    // 580.159.04, 2026-11), which no self-check of a kernel of its own can know.
    let scaled = f32(accumulator) * bitcast<f32>(multiplier.x);
    let shifted = bitcast<f32>(f32_add_bits(bitcast<u32>(scaled), bitcast<u32>(f32(zero_point))));
    return i32(clamp(round(shifted), f32(low), f32(high)));
  }
  if (REQUANTIZE == 2u) {
    return clamp(requantize_onnx_reference(accumulator, multiplier.x, zero_point), low, high);
  }
  if (REQUANTIZE == 7u) {
    let scaled = f32_multiply_bits(f32_from_i32_bits(accumulator), multiplier.x);
    return clamp(round_half_even_to_i32(f32_add_bits(scaled, f32_from_i32_bits(zero_point))), low, high);
  }
  var rounded = 0;
  if (REQUANTIZE == 1u) {
    rounded = round_half_even_to_i32(f32_multiply_bits(f32_from_i32_bits(accumulator), multiplier.x));
  } else if (REQUANTIZE == 3u) {
    rounded = requantize_tflite_double(accumulator, multiplier.x, bitcast<i32>(multiplier.y));
  } else {
    let product = multiply_wide(magnitude_of(accumulator), multiplier.x);
    rounded = rounding_shift(product, accumulator < 0, bitcast<i32>(multiplier.y));
  }
  return clamp(rounded, low - zero_point, high - zero_point) + zero_point;
}
