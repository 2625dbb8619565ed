// A convolution in the frame of lib/register-tile.wgsl: the walk over the window of a thread's pixels, and the 2x2
// max-pool. Needs lib/conv-pixel.wgsl, lib/pixel-blocks.wgsl, lib/register-tile.wgsl, params of lib/conv-params.wgsl or
// lib/conv-int8-params.wgsl, and of the kernel: const STEP_VECTORS, the weight vectors that a load of the input meets,
// and
//
//   fn larger(a: Sum, b: Sum) -> Sum
//   fn finish(first: u32, tile: u32, sums: ptr<function, Sums>)      the epilogue; pools by pool_windows(sums)


/// `input_loads` and `group_loads` are what a pixel's channels and a group's take.
fn convolve(linear: u32, local: u32, lane: u32, input_loads: u32, group_loads: u32) {
  let blocks = block_count(params.pixel_count);
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = first_pixel(linear % blocks, local);
  var pixels: array<Pixel, TILE_PIXELS>;
  for (var i = 0u; i < TILE_PIXELS; i++) {
    pixels[i] = locate(first + i);
  }
  var sums: Sums;
  let group_load = (tile / params.group_tiles) * group_loads;
  var at = tile * params.kernel_height * params.kernel_width * group_loads * STEP_VECTORS;
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var window: Window;
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let pixel = input_pixel(pixels[i], ky, kx);
        window.inside[i] = pixel != OUTSIDE;
        window.base[i] = group_load + select(0u, pixel * input_loads, window.inside[i]);
      }
      for (var step = 0u; step < group_loads; step++) {
        multiply(&sums, &window, step, at, lane);
        at += STEP_VECTORS;
      }
    }
  }
  finish(first, tile, &sums);
}

/// A window's maximum ends up in its first pixel. As two passes over all sums: written window by window it kept the
/// sums in memory on lavapipe and halved the speed of a whole kernel.
fn pool_windows(sums: ptr<function, Sums>) {
  if (params.pool == 1u) {
    for (var i = 0u; i < (TILE_PIXELS - 1u) * PIXEL_SUMS; i++) {
      sums[i] = larger(sums[i], sums[i + PIXEL_SUMS]);
    }
    for (var i = 0u; i < (TILE_PIXELS - 2u) * PIXEL_SUMS; i++) {
      sums[i] = larger(sums[i], sums[i + 2u * PIXEL_SUMS]);
    }
  }
}

/// Whether what pixel `first + i` holds is stored: at (first + i) >> (2 * pool).
fn is_stored(first: u32, i: u32) -> bool {
  return first + i < params.pixel_count && (params.pool == 0u || (i & 3u) == 0u);
}
