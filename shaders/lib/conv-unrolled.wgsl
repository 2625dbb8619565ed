// The frame of the convolutions without private arrays: a thread's four pixels, which are one window with a pool, the
// walk over their windows, and the pool. Needs lib/conv-pixel.wgsl, lib/pixel-blocks.wgsl, params of
// lib/conv-params.wgsl or lib/conv-int8-params.wgsl, and of the kernel: const STEP_VECTORS (weight vectors that a load
// of the input meets), alias Sum, struct Sums, whose members name every sum, and
//
//   fn multiply(sums: ptr<function, Sums>, taps: vec4u, begin: u32, at: u32, lane: u32)
//          adds a group's loads from `begin` on under the four taps times the weights from vector `at` on
//   fn larger(a: Sum, b: Sum) -> Sum
//   fn store_pixel(pixel: u32, vector: u32, sum: Sum)
//   fn finish(first: u32, tile: u32, sums: ptr<function, Sums>)      the epilogue; stores by store_pixels()

const TILE_PIXELS: u32 = 4u;

/// The first load of the pixel under a tap, or OUTSIDE.
fn tap(pixel: Pixel, ky: u32, kx: u32, input_loads: u32) -> u32 {
  let at = input_pixel(pixel, ky, kx);
  return select(at * input_loads, OUTSIDE, at == OUTSIDE);
}

/// `input_loads` and `group_loads` are what a pixel's channels and a group's take.
fn convolve(linear: u32, local: u32, lane: u32, input_loads: u32, group_loads: u32) {
  let blocks = block_count(params.pixel_count);
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = first_pixel(linear % blocks, local);
  let p0 = locate(first);
  let p1 = locate(first + 1u);
  let p2 = locate(first + 2u);
  let p3 = locate(first + 3u);
  var sums: Sums;
  let begin = (tile / params.group_tiles) * group_loads;
  var at = tile * params.kernel_height * params.kernel_width * group_loads * STEP_VECTORS;
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let taps = vec4u(tap(p0, ky, kx, input_loads), tap(p1, ky, kx, input_loads), tap(p2, ky, kx, input_loads),
        tap(p3, ky, kx, input_loads));
      multiply(&sums, taps, begin, at, lane);
      at += group_loads * STEP_VECTORS;
    }
  }
  finish(first, tile, &sums);
}

/// Stores one vector of the four pixels, or the largest of each channel.
fn store_pixels(first: u32, vector: u32, s0: Sum, s1: Sum, s2: Sum, s3: Sum) {
  if (params.pool == 1u) {
    if (first < params.pixel_count) {
      store_pixel(first / 4u, vector, larger(larger(s0, s1), larger(s2, s3)));
    }
    return;
  }
  if (first < params.pixel_count) {
    store_pixel(first, vector, s0);
  }
  if (first + 1u < params.pixel_count) {
    store_pixel(first + 1u, vector, s1);
  }
  if (first + 2u < params.pixel_count) {
    store_pixel(first + 2u, vector, s2);
  }
  if (first + 3u < params.pixel_count) {
    store_pixel(first + 3u, vector, s3);
  }
}
