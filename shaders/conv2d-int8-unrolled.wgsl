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
// 8 channels, WORKGROUP_SIZE threads take 4 pixels each; with POOL the 4 pixels are one window. A ragged pixel tail
// computes pixel 0 again and stores nothing.

const POOL: u32 = 0u;
const OUTPUT: u32 = 0u;
const UNSCALE: f32 = 0x1p-48f;
const OUTSIDE: u32 = 0xffffffffu;
override WORKGROUP_SIZE: u32 = 8u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

fn tap(pixel: Pixel, ky: u32, kx: u32) -> u32 {
  let y = pixel.y + i32(ky * params.dilation_height);
  let x = pixel.x + i32(kx * params.dilation_width);
  let valid = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
  let offset = ((pixel.image_row + u32(y)) * params.input_width + u32(x)) * params.input_words;
  return select(OUTSIDE, offset, valid);
}

// Four codes times 2^24, exactly. A vector shifted by a vector is done lane by lane there; multiplied, it is one
// instruction. The products' 2^48 is taken out where sums leave f32.
fn unpack(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>((vec4u(word) * vec4u(1u << 24u, 1u << 16u, 1u << 8u, 1u)) & vec4u(0xff000000u)));
}

fn fetch(offset: u32, at: u32) -> vec4f {
  var word = params.pad_word;
  if (offset != OUTSIDE) {
    word = input[offset + at];
  }
  return unpack(word);
}

// A channel a column: row vector times matrix is the dot product with each.
fn unpack_columns(b: vec4u) -> mat4x4f {
  return mat4x4f(unpack(b.x), unpack(b.y), unpack(b.z), unpack(b.w));
}

fn finish(first: u32, vector: u32, t0: vec4i, t1: vec4i, t2: vec4i, t3: vec4i) {
  let offset = bias[vector];
  if (POOL == 1u) {
    if (first < params.pixel_count) {
      store(first / 4u, vector, unscale(max(max(t0, t1), max(t2, t3))) + offset);
    }
    return;
  }
  if (first < params.pixel_count) {
    store(first, vector, unscale(t0) + offset);
  }
  if (first + 1u < params.pixel_count) {
    store(first + 1u, vector, unscale(t1) + offset);
  }
  if (first + 2u < params.pixel_count) {
    store(first + 2u, vector, unscale(t2) + offset);
  }
  if (first + 3u < params.pixel_count) {
    store(first + 3u, vector, unscale(t3) + offset);
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let blocks = (params.pixel_count + 4u * WORKGROUP_SIZE - 1u) / (4u * WORKGROUP_SIZE);
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = ((linear % blocks) * WORKGROUP_SIZE + local) * 4u;
  let p0 = locate(first + 0u);
  let p1 = locate(first + 1u);
  let p2 = locate(first + 2u);
  let p3 = locate(first + 3u);
  var t00 = vec4i();
  var t01 = vec4i();
  var t10 = vec4i();
  var t11 = vec4i();
  var t20 = vec4i();
  var t21 = vec4i();
  var t30 = vec4i();
  var t31 = vec4i();
  let group_word = (tile / params.group_tiles) * params.group_words;
  var at = tile * params.kernel_height * params.kernel_width * params.group_words * 2u;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let o0 = tap(p0, ky, kx);
      let o1 = tap(p1, ky, kx);
      let o2 = tap(p2, ky, kx);
      let o3 = tap(p3, ky, kx);
      for (var start = 0u; start < params.group_words; start += 256u) {
        var s00 = vec4f();
        var s01 = vec4f();
        var s10 = vec4f();
        var s11 = vec4f();
        var s20 = vec4f();
        var s21 = vec4f();
        var s30 = vec4f();
        var s31 = vec4f();
        for (var word = group_word + start; word < group_word + min(start + 256u, params.group_words); word++) {
          let b0 = unpack_columns(load_weights(at + 0u));
          let b1 = unpack_columns(load_weights(at + 1u));
          let a0 = fetch(o0, word);
          let a1 = fetch(o1, word);
          let a2 = fetch(o2, word);
          let a3 = fetch(o3, word);
          s00 += a0 * b0;
          s01 += a0 * b1;
          s10 += a1 * b0;
          s11 += a1 * b1;
          s20 += a2 * b0;
          s21 += a2 * b1;
          s30 += a3 * b0;
          s31 += a3 * b1;
          at += 2u;
        }
        t00 += vec4i(s00 * UNSCALE);
        t01 += vec4i(s01 * UNSCALE);
        t10 += vec4i(s10 * UNSCALE);
        t11 += vec4i(s11 * UNSCALE);
        t20 += vec4i(s20 * UNSCALE);
        t21 += vec4i(s21 * UNSCALE);
        t30 += vec4i(s30 * UNSCALE);
        t31 += vec4i(s31 * UNSCALE);
      }
    }
  }
  finish(first, tile * 2u, t00, t10, t20, t30);
  finish(first, tile * 2u + 1u, t01, t11, t21, t31);
}
