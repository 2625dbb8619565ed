// ONNX QuantizeLinear, a word an element: floats or int32 to codes of any type, per tensor, per axis or in blocks.
//
//   code[i] = clamp(rne(f32(input[i] / scale)) + zero_point, low, high)   the zero point after rounding; division
//
// Element i = (outer, a, inner) of a tensor [outers, axis_size, inners] takes the scale and zero point at
// outer * outer_stride + (a / block_size) * axis_stride + inner * inner_stride: per tensor all strides are 0, per
// axis (0, 1, 0) with blocks of 1, blocked (blocks * inners, inners, 1).
//
// buffer       shape  dtype
// input        count  INPUT 0: f32 bits; 1: i32
// scales       any    f32 bits, positive and finite
// zero_points  any    i32, one a scale
// output       count  i32
//
// One thread makes one code.
// PRECISION 1 rounds the quotient to f16 first (ONNX's `precision`); one correctly rounded f32 division before it
// is innocent, because 24 >= 2 * 11 + 2 bits.
// OVERFLOW 1 is the lab's: the rounded value, and then its sum with the zero point, wrap to int8 before the clamp.
// Edge cases: infinities saturate; a quotient of NaN gives `low` (as in ONNX Runtime), which a NaN,
// infinities and zeros make.
// All in integers (lib/exact-float.wgsl, lib/half-float.wgsl), so the same bits on every adapter.

override WORKGROUP_SIZE: u32 = 64u;
const INPUT: u32 = 0u;
const PRECISION: u32 = 0u;
const OVERFLOW: u32 = 0u;

struct Params {
  count: u32,
  inners: u32,
  axis_size: u32,
  block_size: u32,
  outer_stride: u32,
  axis_stride: u32,
  inner_stride: u32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> zero_points: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<i32>;

fn input_bits(index: u32) -> u32 {
  if (INPUT == 1u) { return f32_from_i32_bits(bitcast<i32>(input[index])); }
  return input[index];
}

fn wrap_to_int8(value: i32) -> i32 {
  return (value << 24u) >> 24u;
}

fn code_of(index: u32) -> i32 {
  let value = input_bits(index);
  let along = index / params.inners;
  let place = (along / params.axis_size) * params.outer_stride
    + (along % params.axis_size) / params.block_size * params.axis_stride
    + (index % params.inners) * params.inner_stride;
  var quotient = f32_divide_bits(value, scales[place]);
  if (f32_is_nan_bits(quotient)) { return params.low; }
  if (PRECISION == 1u) { quotient = f16_to_f32_bits(f32_to_f16_bits(quotient)); }
  let rounded = round_half_even_to_i32(quotient);
  let zero_point = zero_points[place];
  if (OVERFLOW == 1u) {
    return clamp(wrap_to_int8(wrap_to_int8(rounded) + zero_point), params.low, params.high);
  }
  // Clamped before the zero point is added, so that the sum cannot wrap.
  return clamp(rounded, params.low - zero_point, params.high - zero_point) + zero_point;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  if (index < params.count) { output[index] = code_of(index); }
}
