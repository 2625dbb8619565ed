// conv2d-int8 for adapters that emulate dot4I8Packed and keep indexed private arrays in memory (SwiftShader): the same
// buffers, formula, epilogue and bits, multiplied in f32 with every sum named, 4 pixels x 8 output channels a thread.
//
//   acc[p, o] = bias[o] + sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * weight[o, ky, kx, c]
//   out[p, o] = requantize(max over the pool window of acc)
//
// buffer      shape                                   dtype
// input       batch, height, width, input_words       4 int8 channels a u32, channel 4w at bits 0..7 of word w
// weights     tile, ky, kx, word, 2 x 4               WEIGHT_BITS codes, 4 channels a lane (lib/packed-weights.wgsl)
// bias        tile x 2                                vec4i
// multipliers tile x 2 x 4                            vec2u a channel (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      batch, out_height, out_width, words     as the input (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2)
//
// f32 sums are exact here: |product| <= 2^14, so 1,024 of them stay below 2^24; after every 256 words they move to i32.
// SwiftShader multiplies and adds f32 at 6.6 Gop/s and does dot4I8Packed at 1.4 (two cores). One workgroup shares its
// 8 channels, WORKGROUP_SIZE threads take 4 pixels each; with a pool the 4 pixels are one window. A ragged pixel tail
// computes pixel 0 again and stores nothing.

const OUTPUT: u32 = 0u;
const UNSCALE: f32 = 0x1p-48f;
const STEP_VECTORS: u32 = 2u;
override WORKGROUP_SIZE: u32 = 8u;
alias Loaded = u32;
alias Sum = vec4i;

struct Sums {
  t00: vec4i,
  t01: vec4i,
  t10: vec4i,
  t11: vec4i,
  t20: vec4i,
  t21: vec4i,
  t30: vec4i,
  t31: vec4i,
}

// Four codes times 2^24, exactly. A vector shifted by a vector is done lane by lane there; multiplied, it is one
// instruction. The products' 2^48 is taken out where sums leave f32.
fn unpack(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>((vec4u(word) * vec4u(1u << 24u, 1u << 16u, 1u << 8u, 1u)) & vec4u(0xff000000u)));
}

fn fetch(tap: u32, at: u32) -> vec4f {
  var word = params.pad_word;
  if (tap != OUTSIDE) {
    word = input[tap + at];
  }
  return unpack(word);
}

// A channel a column: row vector times matrix is the dot product with each.
fn unpack_columns(b: vec4u) -> mat4x4f {
  return mat4x4f(unpack(b.x), unpack(b.y), unpack(b.z), unpack(b.w));
}

fn multiply(sums: ptr<function, Sums>, taps: vec4u, begin: u32, first: u32, lane: u32) {
  var at = first;
  for (var start = 0u; start < params.group_words; start += 256u) {
    var s00 = vec4f();
    var s01 = vec4f();
    var s10 = vec4f();
    var s11 = vec4f();
    var s20 = vec4f();
    var s21 = vec4f();
    var s30 = vec4f();
    var s31 = vec4f();
    for (var word = begin + start; word < begin + min(start + 256u, params.group_words); word++) {
      let b0 = unpack_columns(load_weights(at + 0u));
      let b1 = unpack_columns(load_weights(at + 1u));
      let a0 = fetch(taps.x, word);
      let a1 = fetch(taps.y, word);
      let a2 = fetch(taps.z, word);
      let a3 = fetch(taps.w, word);
      s00 += a0 * b0;
      s01 += a0 * b1;
      s10 += a1 * b0;
      s11 += a1 * b1;
      s20 += a2 * b0;
      s21 += a2 * b1;
      s30 += a3 * b0;
      s31 += a3 * b1;
      at += STEP_VECTORS;
    }
    sums.t00 += vec4i(s00 * UNSCALE);
    sums.t01 += vec4i(s01 * UNSCALE);
    sums.t10 += vec4i(s10 * UNSCALE);
    sums.t11 += vec4i(s11 * UNSCALE);
    sums.t20 += vec4i(s20 * UNSCALE);
    sums.t21 += vec4i(s21 * UNSCALE);
    sums.t30 += vec4i(s30 * UNSCALE);
    sums.t31 += vec4i(s31 * UNSCALE);
  }
}

fn larger(a: vec4i, b: vec4i) -> vec4i {
  return max(a, b);
}

fn store_pixel(pixel: u32, vector: u32, sum: vec4i) {
  store(pixel, vector, unscale(sum) + bias[vector]);
}

fn finish(first: u32, tile: u32, sums: ptr<function, Sums>) {
  store_pixels(first, tile * 2u, sums.t00, sums.t10, sums.t20, sums.t30);
  store_pixels(first, tile * 2u + 1u, sums.t01, sums.t11, sums.t21, sums.t31);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  convolve(workgroup.x + workgroup.y * count.x, local, 0u, params.input_words, params.group_words);
}
