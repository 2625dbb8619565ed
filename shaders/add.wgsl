// Adds two f32 NHWC tensors and clamps the sum: a residual connection with the ReLU after it.
//
//   output[i] = clamp(a[i] + b[i], low, high)
//
// buffer  shape  dtype
// a       count  vec4f; four channels, channels padded to a multiple of 4 with zeros
// b       count  as a
// output  count  as a
//
// One thread adds one vector; neighbouring threads take neighbouring vectors, so every access is coalesced.
//
// ReLU is low = 0, ReLU6 also high = 6; without one, low and high are infinite. Zeros in padding stay
// zeros, because every clamp in use contains 0. A NaN stays one (lib/keep-nan.wgsl). One rounding, the adapter's own for f32 addition.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  low: f32,
  high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) { return; }
  output[index] = clamp_or_nan(a[index] + b[index], params.low, params.high);
}
