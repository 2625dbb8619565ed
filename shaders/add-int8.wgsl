// Element-wise addition of two quantized tensors with requantization (residual networks; com.microsoft QLinearAdd).
//
//   ADD 0  ort-f32:          rne(fma(A, rA, fma(B, rB, f))) saturated: rA = f32(sA / sY), rB = f32(sB / sY),
//                            f = f32(zY - f32(f32(rA zA) + f32(rB zB))): ONNX Runtime's kernel (x64 with FMA)
//   ADD 1  onnx-ref, lab:    rne(f32(f32(f32((A - zA) sA) + f32((B - zB) sB)) / sY)) + zY: dequantize, add, quantize
//   ADD 2  tflite-*:         TFLite's ADD: requantize(requantize((A - zA) 2^20) + requantize((B - zB) 2^20)) + zY
//   ADD 3  xnn-rndnu:        XNNPACK's vadd: ((A - zA) mA + (B - zB) mB + 2^(shift - 1)) >> shift, + zY
//
// buffer  shape    dtype and packing
// a       a_count  PACKED 1: int8 or uint8, four a word, element i in bits 8 * (i % 4) .. + 7; PACKED 0: i32, one a word
// b       b_count  as a
// output  count    as a
//
// Element i reads a[i % a_count] and b[i % b_count], which is broadcasting over leading dimensions.
// Params words: ADD 0 f32 bits of rA, rB, f in *_word; 1 f32 bits of sA, sB, sY in *_word; 2 multipliers
// (lib/requantize.wgsl) in *_word and *_more; 3 mA and mB in *_word and the shift in y_word.
// An int8 byte v is read as (v ^ 0x80) - 128 and the zero points are 128 larger; A above is the byte's value. Whole
// words are values already: shifts of 0, and zero points as they are.
//
// One thread writes one word, four codes or one; the last word's missing codes are zeros.
// ADD 0 and 1 are in integers (lib/exact-float.wgsl) like 2 and 3, so the same bits on every adapter.

override WORKGROUP_SIZE: u32 = 64u;
const ADD: u32 = 0u;
const PACKED: u32 = 1u;

struct Params {
  count: u32,
  a_count: u32,
  b_count: u32,
  a_flip: u32,
  b_flip: u32,
  a_shift: i32,
  b_shift: i32,
  a_zero: i32,
  b_zero: i32,
  zero_point: i32,
  low: i32,
  high: i32,
  a_word: u32,
  a_more: u32,
  b_word: u32,
  b_more: u32,
  y_word: u32,
  y_more: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

/// f32(factor * scale + addend) with one rounding, for |factor| below 2^8 and finite operands.
fn f32_multiply_add_bits(factor: i32, scale: u32, addend: u32) -> u32 {
  if (factor == 0 || (scale & ~F32_SIGN) == 0u) { return addend; }
  let product = u32(abs(factor)) * (f32_significand(scale) >> 8u);
  let zeros = countLeadingZeros(product);
  let exponent = f32_exponent(scale) + 8 - i32(zeros); // of the product's leading bit
  let sign = (scale ^ u32(factor)) & F32_SIGN;
  if ((addend & ~F32_SIGN) == 0u) { return f32_round_bits(sign, exponent, product << zeros); }
  // Both leading bits at 62 of 64: one bit for the carry, and 30 below the f32's last for the guard.
  let left = vec2u((product << zeros) << 31u, (product << zeros) >> 1u);
  let right = vec2u(f32_significand(addend) << 31u, f32_significand(addend) >> 1u);
  let gap = exponent - f32_exponent(addend);
  var large = left;
  var small = right;
  if (gap < 0) {
    large = right;
    small = left;
  }
  let shifted = shift_right_wide(small, u32(abs(gap)));
  let lost = any(shift_left_wide(shifted, u32(abs(gap))) != small);
  small = vec2u(shifted.x | select(0u, 1u, lost), shifted.y);
  var total = add_wide(large, small);
  var total_sign = select(addend & F32_SIGN, sign, gap >= 0);
  if (((sign ^ addend) & F32_SIGN) != 0u) {
    total = subtract_wide(large, small);
    if (less_wide(large, small)) {
      total = subtract_wide(small, large);
      total_sign = total_sign ^ F32_SIGN;
    }
  }
  if (all(total == vec2u(0u))) { return 0u; }
  let size = bit_length_wide(total);
  let top = shift_left_wide(total, 64u - size);
  return f32_round_bits(total_sign, max(exponent, f32_exponent(addend)) + i32(size) - 63, top.y | select(0u, 1u, top.x != 0u));
}

fn sum_of(left: i32, right: i32) -> i32 {
  let zero_point = params.zero_point;
  if (ADD == 0u) {
    let inner = f32_multiply_add_bits(right - params.b_shift, params.b_word, params.y_word);
    let outer = f32_multiply_add_bits(left - params.a_shift, params.a_word, inner);
    return clamp(round_half_even_to_i32(outer), params.low, params.high);
  }
  let x = left - params.a_zero;
  let y = right - params.b_zero;
  var rounded = 0;
  if (ADD == 1u) {
    let sum = f32_add_bits(
      f32_multiply_bits(f32_from_i32_bits(x), params.a_word),
      f32_multiply_bits(f32_from_i32_bits(y), params.b_word),
    );
    rounded = round_half_even_to_i32(f32_divide_bits(sum, params.y_word));
  } else if (ADD == 2u) {
    let most = 0x7fffffff;
    let scaled_x = requantize(x << 20u, vec2u(params.a_word, params.a_more), 0, -most, most);
    let scaled_y = requantize(y << 20u, vec2u(params.b_word, params.b_more), 0, -most, most);
    rounded = requantize(scaled_x + scaled_y, vec2u(params.y_word, params.y_more), 0, -most, most);
  } else {
    let half = 1 << (params.y_word - 1u);
    rounded = (x * bitcast<i32>(params.a_word) + y * bitcast<i32>(params.b_word) + half) >> params.y_word;
  }
  return clamp(rounded, params.low - zero_point, params.high - zero_point) + zero_point;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  if (PACKED == 0u) {
    if (word < params.count) {
      let sum = sum_of(bitcast<i32>(a[word % params.a_count]), bitcast<i32>(b[word % params.b_count]));
      output[word] = bitcast<u32>(sum);
    }
    return;
  }
  let first = word * 4u;
  if (first >= params.count) { return; }
  var packed = 0u;
  for (var i = 0u; i < min(4u, params.count - first); i++) {
    let p = (first + i) % params.a_count;
    let q = (first + i) % params.b_count;
    let left = ((a[p >> 2u] >> (8u * (p & 3u))) & 0xffu) ^ params.a_flip;
    let right = ((b[q >> 2u] >> (8u * (q & 3u))) & 0xffu) ^ params.b_flip;
    packed |= (bitcast<u32>(sum_of(i32(left), i32(right))) & 0xffu) << (8u * i);
  }
  output[word] = packed;
}
