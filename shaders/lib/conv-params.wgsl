// What every f32 convolution is told: sizes in vectors of four channels a pixel, and the bounds of its output.

struct Params {
  input_height: u32,
  input_width: u32,
  input_vectors: u32,
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
  group_vectors: u32,
  group_tiles: u32,
  pixel_count: u32,
  tile_count: u32,
  low: f32,
  high: f32,
}
