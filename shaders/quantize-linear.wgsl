// Quantizes f32 values to packed integer codes, with one scale and zero point an axis index (ONNX QuantizeLinear).
//
//   channel = (i / axis_stride) % axis_size
//   code[i] = clamp(rne(f32(input[i] / scale[channel])) + zero_point[channel], QUANT_MIN, QUANT_MAX)
//
// buffer      shape                   dtype
// input       count                   f32
// scale       axis_size               f32, positive and finite
// zero_point  axis_size               i32, within QUANT_MIN..QUANT_MAX
// output      ceil(count / (32/BITS)) u32; code i in bits BITS * (i % (32/BITS)) up of word i / (32/BITS), lowest first
//
// Per tensor: axis_size 1. Per axis of a row-major tensor: axis_stride is the product of the dimensions after it.
// Per group of the flattened tensor: axis_stride = group size, axis_size = group count; the last may be ragged.
//
// One thread writes one output word, so it reads 4, 8 or 16 neighbouring values: 5 bytes of traffic a value at
// 8 bits, and no two threads touch one word. Codes past count in the last word are 0.
//
// Rounding: half to even of the correctly rounded f32 quotient, BEFORE the zero point is added, in the same bits on
// every adapter. WGSL allows `/` an error of 2.5 ULP and may flush subnormals, so the quotient of the two mantissas
// (both integers in 2^23..2^24) only proposes an answer; within 2^-20 of a tie it is decided in integers.
// Zeros of both signs and subnormals are exact. An infinity saturates, and so does a NaN, by its sign bit.

override WORKGROUP_SIZE: u32 = 256u;
override BITS: u32 = 8u;
override QUANT_MIN: i32 = -128i;
override QUANT_MAX: i32 = 127i;

struct Params {
  count: u32,
  axis_size: u32,
  axis_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> scale: array<u32>;
@group(0) @binding(3) var<storage, read> zero_point: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

// A finite f32 as x = mantissa * 2^(exponent - 150) with a 24-bit mantissa, subnormals included.
struct Parts {
  mantissa: u32,
  exponent: i32,
}

fn split(bits: u32) -> Parts {
  let exponent = i32((bits >> 23u) & 255u);
  let fraction = bits & 0x7fffffu;
  if (exponent == 0) {
    let shift = countLeadingZeros(fraction) - 8u;
    return Parts(fraction << shift, 1 - i32(shift));
  }
  return Parts(fraction | 0x800000u, select(exponent, 1024, exponent == 255));
}

fn rounded_quotient(numerator: u32, divisor: Parts) -> i32 {
  let dividend = split(numerator);
  // Beyond 2^10 every code is saturated and below 2^-3 every code is 0, so the power of two can be clamped there.
  let gap = clamp(dividend.exponent - divisor.exponent, -3, 10);
  let quotient = f32(dividend.mantissa) / f32(divisor.mantissa) * bitcast<f32>(u32(gap + 127) << 23u);
  let below = u32(quotient);
  let offset = quotient - (f32(below) + 0.5);
  var magnitude = below + select(0u, 1u, offset > 0.0);
  if (abs(offset) <= quotient * 0x1p-20) {
    // halves / 2 is the tie, and tie its 24-bit mantissa. With r the exact quotient, difference is
    // (r - halves / 2) * divisor in half-ULPs of the tie; it is below 2^30, so wrapping arithmetic keeps its sign.
    // The f32 nearest to r is the tie itself while |difference| <= divisor (the tie's mantissa is even); the ULP
    // just below 0.5, the only tie that is a power of two, is half as wide.
    let halves = 2u * below + 1u;
    let width = 32u - countLeadingZeros(halves);
    let tie = halves << (24u - width);
    let scaled = dividend.mantissa << u32(gap + 26 - i32(width));
    let difference = bitcast<i32>(scaled - 2u * tie * divisor.mantissa);
    let reach = i32(divisor.mantissa);
    let is_above = difference > reach;
    let is_below = select(difference, 2 * difference, halves == 1u) < -reach;
    magnitude = below + select(select(below & 1u, 1u, is_above), 0u, is_below);
  }
  return select(i32(magnitude), -i32(magnitude), (numerator >> 31u) == 1u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let first = word * (32u / BITS);
  if (first >= params.count) {
    return;
  }
  let end = min(first + 32u / BITS, params.count);
  // Two integer divisions a word; inside it the channel is stepped along.
  var step = first % params.axis_stride;
  var channel = (first / params.axis_stride) % params.axis_size;
  var divisor = split(scale[channel]);
  var offset = zero_point[channel];
  var packed = 0u;
  for (var i = first; i < end; i++) {
    if (step == params.axis_stride) {
      step = 0u;
      channel = select(channel + 1u, 0u, channel + 1u == params.axis_size);
      divisor = split(scale[channel]);
      offset = zero_point[channel];
    }
    let code = clamp(rounded_quotient(input[i], divisor) + offset, QUANT_MIN, QUANT_MAX);
    packed |= (u32(code) & (0xffffffffu >> (32u - BITS))) << (BITS * (i - first));
    step++;
  }
  output[word] = packed;
}
