// The ends of an f32 convolution in the frame of lib/conv-unrolled.wgsl: what lies outside is zero, and the sums leave
// scaled, clamped and pooled, in this order, because a negative scale turns maxima into minima. Needs
// lib/conv-buffers.wgsl and lib/keep-nan.wgsl.

alias Sum = vec4f;

fn fetch(tap: u32, at: u32) -> vec4f {
  if (tap == OUTSIDE) {
    return vec4f();
  }
  return input[tap + at];
}

fn larger(a: vec4f, b: vec4f) -> vec4f {
  return max_or_nan(a, b);
}

fn store_pixel(pixel: u32, vector: u32, value: vec4f) {
  output[pixel * params.output_vectors + vector] = value;
}

fn scaled(sum: vec4f, vector: u32) -> vec4f {
  return clamp_or_nan(sum * scale[vector] + shift[vector], params.low, params.high);
}

fn store_scaled(first: u32, vector: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (vector < params.output_vectors) {
    store_pixels(first, vector, scaled(s0, vector), scaled(s1, vector), scaled(s2, vector), scaled(s3, vector));
  }
}
