// conv2d-int8 for adapters that are a CPU and have subgroups: the same buffers, formula, epilogue and bits, the weights
// loaded once a subgroup and broadcast (lib/subgroup-broadcast.wgsl), the input 16 channels a load.
//
//   acc[p, o] = bias[o] + sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * weight[o, ky, kx, c]
//   out[p, o] = requantize(max over the pool window of acc)
//
// buffer      shape                                   dtype
// input       batch, height, width, input_words / 4   vec4u of 4 int8 channels a word; whole vec4u a group
// weights     tile, ky, kx, word, TILE_VECTORS x 4    WEIGHT_BITS codes, 4 channels a lane (lib/packed-weights.wgsl)
// bias        tile x TILE_VECTORS                     vec4i
// multipliers tile x TILE_VECTORS x 4                 vec2u a channel (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      batch, out_height, out_width, words     as the input (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2)
//
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) output channels, an output channel at a time: its 16
// weights, unpacked, stay in registers while all pixels pass, and a sum goes back to memory once in 16 products. There
// is no dot4I8Packed: lavapipe unpacks both operands of each, here a weight is unpacked once for TILE_PIXELS of them.
// Against conv2d-int8, same run, 3x3 x 256 x 256: 1.5 times the speed at 8 x 32, 1.4 at 4 x 32, 1.3 at 8 x 16.
// At 8 x 32 it multiplies as fast as the adapter does dot4I8Packed by itself, 33 Gop/s a core. Unsigned input would
// make a multiplication vpmaddwd instead of vpmulld; it was no faster (Zen 4), and float products were slower. Where the
// shape allows, conv2d-int8-winograd takes its place.
// A ragged pixel tail computes pixel 0 again and stores nothing.

const TILE_PIXELS: u32 = 8u;
const PIXEL_SUMS: u32 = 4u * TILE_VECTORS;
const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;
alias Loaded = vec4u;
alias Weights = vec4u;
alias Sum = i32;

fn load_input(at: u32, inside: bool) -> vec4u {
  return select(vec4u(params.pad_word), input[at], inside);
}

fn multiply_channel(sums: ptr<function, Sums>, a: ptr<function, Loads>, channel: u32, w: vec4u) {
  let b0 = unpack4xI8(w.x);
  let b1 = unpack4xI8(w.y);
  let b2 = unpack4xI8(w.z);
  let b3 = unpack4xI8(w.w);
  for (var i = 0u; i < TILE_PIXELS; i++) {
    sums[i * PIXEL_SUMS + channel] += dot(unpack4xI8(a[i].x), b0) + dot(unpack4xI8(a[i].y), b1)
      + dot(unpack4xI8(a[i].z), b2) + dot(unpack4xI8(a[i].w), b3);
  }
}

fn multiply_vector(sums: ptr<function, Sums>, a: ptr<function, Loads>, v: u32, w0: vec4u, w1: vec4u, w2: vec4u,
  w3: vec4u) {
  multiply_channel(sums, a, 4u * v, vec4u(w0.x, w1.x, w2.x, w3.x));
  multiply_channel(sums, a, 4u * v + 1u, vec4u(w0.y, w1.y, w2.y, w3.y));
  multiply_channel(sums, a, 4u * v + 2u, vec4u(w0.z, w1.z, w2.z, w3.z));
  multiply_channel(sums, a, 4u * v + 3u, vec4u(w0.w, w1.w, w2.w, w3.w));
}

fn larger(a: i32, b: i32) -> i32 {
  return max(a, b);
}

fn finish(first: u32, tile: u32, sums: ptr<function, Sums>) {
  pool_windows(sums);
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    let offset = bias[vector];
    let scales = load_multipliers(vector);
    for (var i = 0u; i < TILE_PIXELS; i++) {
      if (is_stored(first, i)) {
        let at = i * PIXEL_SUMS + 4u * v;
        let sum = vec4i(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
        store_scaled((first + i) >> (2u * params.pool), vector, unscale(sum) + offset, scales);
      }
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  convolve(workgroup.x + workgroup.y * count.x, local, lane, params.input_words / 4u, params.group_words / 4u);
}
