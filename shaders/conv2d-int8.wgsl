// int8 convolution: int32 accumulation, then bias, ReLU/clamp, 2x2 max-pool and requantization, all in one pass.
//
//   acc[p, o] = bias[o] + sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * weight[o, ky, kx, c]
//   out[p, o] = requantize(max over the pool window of acc)        (requantize is monotone, so max first is exact)
//
// Zero points: weights are symmetric; the input's zero point is folded into the bias by the host
// (bias - zero_point * sum of weights), and padding supplies the zero point itself through params.pad_word.
//
// buffer      shape                                   dtype
// input       batch, height, width, input_words       4 int8 channels a u32, channel 4w at bits 0..7 of word w
// weights     tile, ky, kx, word, TILE_VECTORS x 4    WEIGHT_BITS codes, 4 channels a lane (lib/packed-weights.wgsl)
// bias        tile x TILE_VECTORS                     vec4i
// multipliers tile x TILE_VECTORS x 4                 vec2u a channel (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      batch, out_height, out_width, words     as the input (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2)
//
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) output channels in registers: no barrier and no
// workgroup memory, which is what a CPU adapter wants (a workgroup-tiled kernel was 3 to 5 times slower on lavapipe).
// One workgroup is WORKGROUP_SIZE such pixel tiles of the same channels and shares its part of the cache; with
// subgroups, conv2d-int8-broadcast also shares the loads.
// With a pool, pixels are enumerated window by window, so a thread owns whole 2x2 windows.
// 8 x 16 on lavapipe: 128 i32 accumulators a thread, 18 to 20 Gop/s a core, where 16 x 8 gave 14 to 16 and 8 x 32 gave
// 6 to 11: an input word differs from lane to lane and is dear to load, so it should meet many channels. Storing channel
// by channel instead of pixel by pixel halves the speed with a pool.
//
// Adapters without a fast dot4I8Packed (SwiftShader) take conv2d-int8-unrolled.
// A ragged pixel tail computes pixel 0 again and stores nothing.

const TILE_PIXELS: u32 = 8u;
const TILE_VECTORS: u32 = 4u;
const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;

fn load_input(at: u32, inside: bool) -> u32 {
  return select(params.pad_word, input[at], inside);
}

fn larger(a: vec4i, b: vec4i) -> vec4i {
  return max(a, b);
}

fn finish(first: u32, tile: u32, sums: ptr<function, Sums>) {
  pool_windows(sums);
  for (var i = 0u; i < TILE_PIXELS; i++) {
    if (is_stored(first, i)) {
      store_vectors((first + i) >> (2u * params.pool), tile, sums, i);
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  convolve(workgroup.x + workgroup.y * count.x, local, 0u, params.input_words, params.group_words);
}
