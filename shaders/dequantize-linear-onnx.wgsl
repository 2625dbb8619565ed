// ONNX DequantizeLinear, a word an element: codes of any type, per tensor, per axis or in blocks.
//
//   value[i] = f32(f32(code[i] - zero_point) * scale)       the difference in i32
//
// Element i = (outer, a, inner) of a tensor [outers, axis_size, inners] takes the scale and zero point at
// outer * outer_stride + (a / block_size) * axis_stride + inner * inner_stride, as in quantize-linear-onnx.wgsl.
//
// buffer       shape  dtype
// input        count  i32
// scales       any    f32 bits, positive and finite
// zero_points  any    i32, one a scale
// output       count  f32 bits
//
// One thread makes one value.
// Edge cases: overflow gives infinity. All in integers, ties to even, so the same bits on every adapter.

override WORKGROUP_SIZE: u32 = 64u;

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
@group(0) @binding(1) var<storage, read> input: array<i32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>;
@group(0) @binding(3) var<storage, read> zero_points: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

fn value_of(index: u32) -> u32 {
  let along = index / params.inners;
  let place = (along / params.axis_size) * params.outer_stride
    + (along % params.axis_size) / params.block_size * params.axis_stride
    + (index % params.inners) * params.inner_stride;
  return f32_multiply_bits(f32_from_i32_bits(input[index] - zero_points[place]), scales[place]);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  if (index < params.count) { output[index] = value_of(index); }
}
