// What the f32 convolutions without private arrays share: buffers, parameters, the four taps and the epilogue of a
// thread's 4 pixels. Needs lib/conv-pixel.wgsl and lib/keep-nan.wgsl. With POOL the 4 pixels are one window.

const POOL: u32 = 0u;
const OUTSIDE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

fn tap(pixel: Pixel, ky: u32, kx: u32) -> u32 {
  let y = pixel.y + i32(ky * params.dilation_height);
  let x = pixel.x + i32(kx * params.dilation_width);
  let valid = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
  let offset = ((pixel.image_row + u32(y)) * params.input_width + u32(x)) * params.input_vectors;
  return select(OUTSIDE, offset, valid);
}

fn fetch(offset: u32, at: u32) -> vec4f {
  if (offset == OUTSIDE) {
    return vec4f();
  }
  return input[offset + at];
}

fn finish(sum: vec4f, vector: u32) -> vec4f {
  return clamp_or_nan(sum * scale[vector] + shift[vector], params.low, params.high);
}

fn store(first: u32, vector: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (vector >= params.output_vectors) {
    return;
  }
  let stride = params.output_vectors;
  if (POOL == 1u) {
    if (first < params.pixel_count) {
      let top = max_or_nan(finish(s0, vector), finish(s1, vector));
      output[first / 4u * stride + vector] = max_or_nan(top, max_or_nan(finish(s2, vector), finish(s3, vector)));
    }
    return;
  }
  if (first < params.pixel_count) {
    output[first * stride + vector] = finish(s0, vector);
  }
  if (first + 1u < params.pixel_count) {
    output[(first + 1u) * stride + vector] = finish(s1, vector);
  }
  if (first + 2u < params.pixel_count) {
    output[(first + 2u) * stride + vector] = finish(s2, vector);
  }
  if (first + 3u < params.pixel_count) {
    output[(first + 3u) * stride + vector] = finish(s3, vector);
  }
}
