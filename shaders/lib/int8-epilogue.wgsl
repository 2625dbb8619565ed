// The end of every int8 convolution and matrix product: an accumulator vector to packed int8, int32 or f32. Needs
// lib/requantize.wgsl, and of the kernel: const OUTPUT, params.{output_words, zero_point, low, high}, multipliers and
// output.

fn dot_int(a: u32, b: vec4u) -> vec4i {
  return vec4i(dot4I8Packed(a, b.x), dot4I8Packed(a, b.y), dot4I8Packed(a, b.z), dot4I8Packed(a, b.w));
}

fn store(pixel: u32, vector: u32, accumulator: vec4i) {
  let at = pixel * params.output_words;
  if (OUTPUT == 0u) {
    if (vector < params.output_words) {
      let m = vector * 4u;
      output[at + vector] = pack4xI8(vec4i(
        requantize(accumulator.x, multipliers[m], params.zero_point, params.low, params.high),
        requantize(accumulator.y, multipliers[m + 1u], params.zero_point, params.low, params.high),
        requantize(accumulator.z, multipliers[m + 2u], params.zero_point, params.low, params.high),
        requantize(accumulator.w, multipliers[m + 3u], params.zero_point, params.low, params.high)));
    }
  } else {
    for (var lane = 0u; lane < 4u; lane++) {
      let channel = vector * 4u + lane;
      if (channel < params.output_words) {
        var word = bitcast<u32>(accumulator[lane]);
        if (OUTPUT == 2u) {
          word = bitcast<u32>(f32(accumulator[lane]) * bitcast<f32>(multipliers[channel].x));
        }
        output[at + channel] = word;
      }
    }
  }
}
