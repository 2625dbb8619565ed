// Copies one f32 NHWC tensor into its channels of a concatenation, clamped; one dispatch an input.
//
//   output[p, start + c] = clamp(input[p, c], low, high)   for c < channels
//   output[p, start + c] = 0                               for channels <= c < width
//
// buffer  shape                   dtype
// input   pixels, input_stride    f32; channels padded to a multiple of 4
// output  pixels, output_stride   f32; as the input
//
// `width` is `channels`, and for the last input as much more as reaches the end of the output's padding.
//
// One thread writes one value: inputs of any number of channels begin anywhere in a vector of four, and neighbouring
// threads still read and write neighbouring values.
//
// ReLU is low = 0, ReLU6 also high = 6; without one, low and high are infinite. Nothing is rounded; a NaN stays one
// (lib/keep-nan.wgsl).

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixels: u32,
  channels: u32,
  width: u32,
  start: u32,
  input_stride: u32,
  output_stride: u32,
  low: f32,
  high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let pixel = index / params.width;
  if (pixel >= params.pixels) { return; }
  let channel = index % params.width;
  var value = 0.0;
  if (channel < params.channels) {
    value = clamp_or_nan(vec4f(input[pixel * params.input_stride + channel]), params.low, params.high).x;
  }
  output[pixel * params.output_stride + params.start + channel] = value;
}
