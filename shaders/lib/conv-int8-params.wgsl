// What an int8 convolution that is one dispatch is told: sizes in words of four channels a pixel, whether the output is
// the maximum of each 2x2 window (pool, 0 or 1; lib/conv-params.wgsl says why it is told), the padding as a word of the
// input's zero point, the output's zero point and bounds.

struct Params {
  input_height: u32,
  input_width: u32,
  input_words: u32,
  output_height: u32,
  output_width: u32,
  output_words: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
  group_words: u32,
  group_tiles: u32,
  pixel_count: u32,
  tile_count: u32,
  pool: u32,
  pad_word: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}
