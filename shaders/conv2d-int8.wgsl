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
// With POOL, pixels are enumerated window by window, so a thread owns whole 2x2 windows.
// 8 x 16 on lavapipe: 128 i32 accumulators a thread, 18 to 20 Gop/s a core, where 16 x 8 gave 14 to 16 and 8 x 32 gave
// 6 to 11: an input word differs from lane to lane and is dear to load, so it should meet many channels. The weight
// vectors are taken one by one: an inner loop over TILE_VECTORS stays a loop there, with its accumulators in memory,
// and costs a factor of three. Storing channel by channel instead of pixel by pixel halves the speed with POOL.
//
// Adapters without a fast dot4I8Packed (SwiftShader) take conv2d-int8-unrolled.
// A ragged pixel tail computes pixel 0 again and stores nothing.

const TILE_PIXELS: u32 = 8u;
const TILE_VECTORS: u32 = 4u;
const POOL: u32 = 0u;
const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let blocks = (params.pixel_count + TILE_PIXELS * WORKGROUP_SIZE - 1u) / (TILE_PIXELS * WORKGROUP_SIZE);
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = ((linear % blocks) * WORKGROUP_SIZE + local) * TILE_PIXELS;

  var pixels: array<Pixel, TILE_PIXELS>;
  for (var i = 0u; i < TILE_PIXELS; i++) {
    pixels[i] = locate(first + i);
  }
  var total: array<vec4i, TILE_PIXELS * TILE_VECTORS>;
  let group_word = (tile / params.group_tiles) * params.group_words;
  var at = tile * params.kernel_height * params.kernel_width * params.group_words * TILE_VECTORS;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var base: array<u32, TILE_PIXELS>;
      var inside: array<bool, TILE_PIXELS>;
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let y = pixels[i].y + i32(ky * params.dilation_height);
        let x = pixels[i].x + i32(kx * params.dilation_width);
        inside[i] = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
        let offset = ((pixels[i].image_row + u32(y)) * params.input_width + u32(x)) * params.input_words;
        base[i] = group_word + select(0u, offset, inside[i]);
      }
      for (var word = 0u; word < params.group_words; word++) {
        let b = load_vectors(at);
        at += TILE_VECTORS;
        for (var i = 0u; i < TILE_PIXELS; i++) {
          let a = select(params.pad_word, input[base[i] + word], inside[i]);
          let sum = i * TILE_VECTORS;
          total[sum] += dot_int(a, b[0]);
          if (TILE_VECTORS > 1u) {
            total[sum + min(1u, TILE_VECTORS - 1u)] += dot_int(a, b[1]);
          }
          if (TILE_VECTORS > 2u) {
            total[sum + min(2u, TILE_VECTORS - 1u)] += dot_int(a, b[2]);
            total[sum + min(3u, TILE_VECTORS - 1u)] += dot_int(a, b[3]);
          }
        }
      }
    }
  }

  // Pooling as two passes over all sums, a window's maximum ending up in its first pixel: written window by window
  // it kept the sums in memory on lavapipe and halved the speed of the whole kernel.
  if (POOL == 1u) {
    for (var i = 0u; i < (TILE_PIXELS - 1u) * TILE_VECTORS; i++) {
      total[i] = max(total[i], total[i + TILE_VECTORS]);
    }
    for (var i = 0u; i < (TILE_PIXELS - 2u) * TILE_VECTORS; i++) {
      total[i] = max(total[i], total[i + 2u * TILE_VECTORS]);
    }
  }
  for (var i = 0u; i < TILE_PIXELS; i++) {
    if (first + i < params.pixel_count && (POOL == 0u || (i & 3u) == 0u)) {
      for (var v = 0u; v < TILE_VECTORS; v++) {
        let vector = tile * TILE_VECTORS + v;
        store((first + i) >> (2u * POOL), vector, unscale(total[i * TILE_VECTORS + v]) + bias[vector]);
      }
    }
  }
}
