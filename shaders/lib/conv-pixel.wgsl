// Which output pixel a thread's tile entry is, and where its window starts in the input. Needs of the kernel: const
// POOL and params.{input_height, output_height, output_width, stride_height, stride_width, pad_top, pad_left,
// pixel_count}. With POOL, pixels are enumerated window by window, so that four in a row are one 2x2 window. An index
// past the end is pixel 0: it is computed again and never stored.

struct Pixel {
  image_row: u32,
  y: i32,
  x: i32,
}

fn locate(index: u32) -> Pixel {
  var pixel = select(0u, index, index < params.pixel_count);
  var y: u32;
  var x: u32;
  if (POOL == 1u) {
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
