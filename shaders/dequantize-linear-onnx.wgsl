// ONNX DequantizeLinear for what shaders/dequantize-linear.wgsl leaves out: blocks, 16- and 32-bit codes, float16.
//
//   value[i] = f32(f32(code[i] - zero_point) * scale)       the difference in i32; float16 rounds that once more
//
// Element i = (outer, a, inner) of a tensor [outers, axis_size, inners] takes the scale and zero point at
// outer * outer_stride + (a / block_size) * axis_stride + inner * inner_stride, as in quantize-linear-onnx.wgsl.
//
// buffer       shape  dtype and packing
// input        count  INPUT_BITS 8, 16 or 32 a code, lowest bits first; SIGNED 1: two's complement
// scales       any    f32 bits, positive and finite
// zero_points  any    i32, one a scale
// output       count  OUTPUT 0: f32 bits; 1: f16 bits, two a word, the first in the low half
//
// One thread writes one output word: one f32 or two f16.
// Edge cases: overflow gives infinity. All in integers, ties to even, so the same bits on every adapter.

override WORKGROUP_SIZE: u32 = 64u;
const INPUT_BITS: u32 = 8u;
const SIGNED: u32 = 1u;
const OUTPUT: u32 = 0u;

struct Params {
  count: u32,
  inners: u32,
  axis_size: u32,
  block_size: u32,
  outer_stride: u32,
  axis_stride: u32,
  inner_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> zero_points: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

fn code_of(index: u32) -> i32 {
  let bit = index * INPUT_BITS;
  let word = input[index / (32u / INPUT_BITS)];
  let at_top = word << (32u - INPUT_BITS - (bit & 31u));
  return select(bitcast<i32>(at_top >> (32u - INPUT_BITS)), bitcast<i32>(at_top) >> (32u - INPUT_BITS), SIGNED == 1u);
}

fn value_of(index: u32) -> u32 {
  let along = index / params.inners;
  let place = (along / params.axis_size) * params.outer_stride
    + (along % params.axis_size) / params.block_size * params.axis_stride
    + (index % params.inners) * params.inner_stride;
  return f32_multiply_bits(f32_from_i32_bits(code_of(index) - zero_points[place]), scales[place]);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  if (OUTPUT == 0u) {
    if (word < params.count) { output[word] = value_of(word); }
    return;
  }
  let first = word * 2u;
  if (first >= params.count) { return; }
  var packed = f32_to_f16_bits(value_of(first));
  if (first + 1u < params.count) { packed |= f32_to_f16_bits(value_of(first + 1u)) << 16u; }
  output[word] = packed;
}
