// The end of every int8 convolution and matrix product: an accumulator vector to packed int8, int32 or f32. Needs
// lib/requantize.wgsl, and of the kernel: const OUTPUT, params.{output_words, zero_point, low, high}, multipliers and
// output.
//
//   OUTPUT 0  code = requantize(acc), from low to high
//   OUTPUT 1  acc, as it is
//   OUTPUT 2  clamp(f32(acc) * scale, low, high); here low and high are the bits of two f32

fn dot_int(a: u32, b: vec4u) -> vec4i {
  return vec4i(dot4I8Packed(a, b.x), dot4I8Packed(a, b.y), dot4I8Packed(a, b.z), dot4I8Packed(a, b.w));
}

/// The multipliers of a vector's four channels; loaded once where several pixels are stored.
fn load_multipliers(vector: u32) -> array<vec2u, 4> {
  let m = vector * 4u;
  return array(multipliers[m], multipliers[m + 1u], multipliers[m + 2u], multipliers[m + 3u]);
}

fn store_scaled(pixel: u32, vector: u32, accumulator: vec4i, m: array<vec2u, 4>) {
  let at = pixel * params.output_words;
  if (OUTPUT == 0u) {
    if (vector < params.output_words) {
      output[at + vector] = pack4xI8(vec4i(
        requantize(accumulator.x, m[0], params.zero_point, params.low, params.high),
        requantize(accumulator.y, m[1], params.zero_point, params.low, params.high),
        requantize(accumulator.z, m[2], params.zero_point, params.low, params.high),
        requantize(accumulator.w, m[3], params.zero_point, params.low, params.high)));
    }
  } else {
    let scales = bitcast<vec4f>(vec4u(m[0].x, m[1].x, m[2].x, m[3].x));
    for (var lane = 0u; lane < 4u; lane++) {
      let channel = vector * 4u + lane;
      if (channel < params.output_words) {
        var word = bitcast<u32>(accumulator[lane]);
        if (OUTPUT == 2u) {
          word = bitcast<u32>(clamp(f32(accumulator[lane]) * scales[lane], bitcast<f32>(params.low), bitcast<f32>(params.high)));
        }
        output[at + channel] = word;
      }
    }
  }
}

fn store(pixel: u32, vector: u32, accumulator: vec4i) {
  if (OUTPUT == 0u && vector >= params.output_words) {
    return;
  }
  store_scaled(pixel, vector, accumulator, load_multipliers(vector));
}
