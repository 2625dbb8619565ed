// What the gradient of a convolution by its input is told and reads, depthwise or not: a window's sizes, an output
// pixel's vectors of four channels and an input pixel's channels.

struct Params {
  input_height: u32,
  input_width: u32,
  input_channels: u32,
  output_height: u32,
  output_width: u32,
  output_vectors: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
  pixel_count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;
