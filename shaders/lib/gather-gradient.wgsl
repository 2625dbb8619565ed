// The frame of a convolution's gradient by its input: which input pixels and channels a thread has, the walk over the
// windows that cover them, and the end. Needs lib/input-gradient.wgsl, lib/covering-window.wgsl, lib/pixel-blocks.wgsl,
// lib/register-tile.wgsl and of the kernel: const TILE_PIXELS and TILE_VECTORS, override WORKGROUP_SIZE, and
// multiply(), which adds gradient vector `step` of every window times the weights of channel vectors from `at` on:
// output channels of one tap and input channel each, 4 vectors apart.

const PIXEL_SUMS: u32 = TILE_VECTORS;
alias Loaded = vec4f;
alias Sum = vec4f;

fn load_input(at: u32, inside: bool) -> vec4f {
  return select(vec4f(), gradient[at], inside);
}

fn real_lanes(channel: u32) -> vec4<bool> {
  return vec4u(channel, channel + 1u, channel + 2u, channel + 3u) < vec4u(params.input_channels);
}

fn gather(linear: u32, local: u32, lane: u32) {
  let input_vectors = (params.input_channels + 3u) / 4u;
  let blocks = block_count(params.pixel_count);
  let tile = linear / blocks;
  if (tile * TILE_VECTORS >= input_vectors) {
    return;
  }
  let first = first_pixel(linear % blocks, local);
  var images: array<u32, TILE_PIXELS>;
  var rows: array<u32, TILE_PIXELS>;
  var columns: array<u32, TILE_PIXELS>;
  for (var i = 0u; i < TILE_PIXELS; i++) {
    let pixel = select(0u, first + i, first + i < params.pixel_count);
    columns[i] = pixel % params.input_width + params.pad_left;
    rows[i] = (pixel / params.input_width) % params.input_height + params.pad_top;
    images[i] = pixel / (params.input_width * params.input_height) * params.output_height;
  }
  var sums: Sums;
  let taps = params.kernel_height * params.kernel_width;
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var window: Window;
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let y = window_over(rows[i], ky * params.dilation_height, params.stride_height, params.output_height);
        let x = window_over(columns[i], kx * params.dilation_width, params.stride_width, params.output_width);
        window.inside[i] = y != NONE && x != NONE;
        let offset = ((images[i] + y) * params.output_width + x) * params.output_vectors;
        window.base[i] = select(0u, offset, window.inside[i]);
      }
      for (var vector = 0u; vector < params.output_vectors; vector++) {
        let row = ((vector >> 2u) * taps + ky * params.kernel_width + kx) * input_vectors + tile * TILE_VECTORS;
        multiply(&sums, &window, vector, row * 16u + (vector & 3u), lane);
      }
    }
  }
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    let real = real_lanes(vector * 4u);
    for (var i = 0u; i < TILE_PIXELS; i++) {
      if (first + i < params.pixel_count && vector < input_vectors) {
        let sum = select(vec4f(), sums[i * TILE_VECTORS + v], real);
        input_gradient[(first + i) * input_vectors + vector] = sum;
      }
    }
  }
}
