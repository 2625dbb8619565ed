// What every f32 convolution is told: sizes in vectors of four channels a pixel, whether the output is the maximum of
// each 2x2 window (pool, 0 or 1), and its bounds. The pool is no constant, so that a network's layers share one pipeline:
// an adapter that is a CPU takes longer to make one than to run it.

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
  pool: u32,
  low: f32,
  high: f32,
}
