// Quantizes and dequantizes at once: the values an integer of so many bits stands for, as f32.
//
//   output[i] = (clamp(round(input[i] / scale) + zero_point, quant_min, quant_max) - zero_point) * scale
//
// buffer   shape      dtype
// input    count      f32
// qparams  channels   vec2f: scale (not 0), zero point (a whole number)
// output   count      f32
//
// Channel of element i: floor(i / block) * lanes + i mod lanes. Rows along axis 0: block = row length, lanes = 1. One for all:
// block = count, lanes = 1. Tiled weights: block = a tile, lanes = its 8 output channels.
// One thread makes one element. round() is half to even, WGSL's own; the division may be 2.5 ULP off, so a value that
// close to a tie may take either neighbour. Jacob et al., 2018.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  block: u32,
  lanes: u32,
  quant_min: f32,
  quant_max: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> qparams: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) {
    return;
  }
  let q = qparams[(index / params.block) * params.lanes + index % params.lanes];
  let code = clamp(round(input[index] / q.x) + q.y, params.quant_min, params.quant_max);
  output[index] = (code - q.y) * q.x;
}
