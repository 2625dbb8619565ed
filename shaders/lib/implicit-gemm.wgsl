// The other half of an implicit GEMM's rows (lib/conv-pixel.wgsl has the first): the input pixel under a tap. Needs of
// the kernel: params.{input_height, input_width, kernel_width, dilation_height, dilation_width}.

/// What `tap_pixel` answers where the tap lies in the padding.
const OUTSIDE: u32 = 0xffffffffu;

/// The input pixel under tap ky * kernel_width + kx, counted over the whole batch, or OUTSIDE.
fn tap_pixel(pixel: Pixel, tap: u32) -> u32 {
  let ky = tap / params.kernel_width;
  let y = pixel.y + i32(ky * params.dilation_height);
  let x = pixel.x + i32((tap - ky * params.kernel_width) * params.dilation_width);
  let inside = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
  return select(OUTSIDE, (pixel.image_row + u32(y)) * params.input_width + u32(x), inside);
}
