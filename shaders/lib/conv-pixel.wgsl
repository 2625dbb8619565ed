// Which output pixel a thread's tile entry is, where its window starts in the input, and what lies under its taps.
// Needs params of lib/conv-params.wgsl or lib/conv-int8-params.wgsl, but for their channels. With a pool, pixels are
// enumerated window by window, so that four in a row are one 2x2 window. An index past the end is pixel 0: it is
// computed again and never stored.

struct Pixel {
  image_row: u32,
  y: i32,
  x: i32,
}

fn locate(index: u32) -> Pixel {
  var pixel = select(0u, index, index < params.pixel_count);
  var y: u32;
  var x: u32;
  if (params.pool == 1u) {
    let corner = pixel & 3u;
    pixel >>= 2u;
    let columns = params.output_width / 2u;
    let rows = params.output_height / 2u;
    x = (pixel % columns) * 2u + (corner & 1u);
    pixel /= columns;
    y = (pixel % rows) * 2u + (corner >> 1u);
    pixel /= rows;
  } else {
    x = pixel % params.output_width;
    pixel /= params.output_width;
    y = pixel % params.output_height;
    pixel /= params.output_height;
  }
  return Pixel(pixel * params.input_height, i32(y * params.stride_height) - i32(params.pad_top),
    i32(x * params.stride_width) - i32(params.pad_left));
}

/// What `input_pixel` answers where the tap lies in the padding.
const OUTSIDE: u32 = 0xffffffffu;

/// The input pixel under a tap, counted over the whole batch, or OUTSIDE.
fn input_pixel(pixel: Pixel, ky: u32, kx: u32) -> u32 {
  let y = pixel.y + i32(ky * params.dilation_height);
  let x = pixel.x + i32(kx * params.dilation_width);
  let inside = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
  return select(OUTSIDE, (pixel.image_row + u32(y)) * params.input_width + u32(x), inside);
}

/// The same for tap ky * kernel_width + kx: rows of an implicit GEMM.
fn tap_pixel(pixel: Pixel, tap: u32) -> u32 {
  let ky = tap / params.kernel_width;
  return input_pixel(pixel, ky, tap - ky * params.kernel_width);
}
