// Rows of channels made longer with zeros, or shorter: to and from channels padded to a multiple of 4.
//
//   output[row, c] = input[row, c] where c < input_channels, else 0
//
// buffer   shape                   dtype
// input    rows, input_channels    f32
// output   rows, output_channels   f32
//
// One thread makes one element.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  rows: u32,
  input_channels: u32,
  output_channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.rows * params.output_channels) {
    return;
  }
  let c = index % params.output_channels;
  let kept = c < params.input_channels;
  let at = select(0u, index / params.output_channels * params.input_channels + c, kept);
  output[index] = select(0.0, input[at], kept);
}
