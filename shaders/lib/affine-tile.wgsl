// The ends of an f32 convolution in the frame of lib/conv-registers.wgsl: what lies outside is zero, and the sums leave
// scaled, clamped and pooled, in this order, because a negative scale turns maxima into minima. Needs
// lib/conv-buffers.wgsl, lib/keep-nan.wgsl and of the kernel: const TILE_VECTORS.

const PIXEL_SUMS: u32 = TILE_VECTORS;
alias Loaded = vec4f;
alias Sum = vec4f;

fn load_input(at: u32, inside: bool) -> vec4f {
  return select(vec4f(), input[at], inside);
}

fn larger(a: vec4f, b: vec4f) -> vec4f {
  return max_or_nan(a, b);
}

fn finish(first: u32, tile: u32, sums: ptr<function, Sums>) {
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = min(tile * TILE_VECTORS + v, params.output_vectors - 1u);
    for (var i = 0u; i < TILE_PIXELS; i++) {
      let value = sums[i * TILE_VECTORS + v] * scale[vector] + shift[vector];
      sums[i * TILE_VECTORS + v] = clamp_or_nan(value, params.low, params.high);
    }
  }
  pool_windows(sums);
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    for (var i = 0u; i < TILE_PIXELS; i++) {
      if (is_stored(first, i) && vector < params.output_vectors) {
        output[((first + i) >> (2u * params.pool)) * params.output_vectors + vector] = sums[i * TILE_VECTORS + v];
      }
    }
  }
}
