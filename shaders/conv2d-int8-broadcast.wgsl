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
const POOL: u32 = 0u;
const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;
const SUMS: u32 = TILE_PIXELS * 4u * TILE_VECTORS;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4u>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

fn multiply_channel(total: ptr<function, array<i32, SUMS>>, a: ptr<function, array<vec4u, TILE_PIXELS>>, channel: u32,
  w: vec4u) {
  let b0 = unpack4xI8(w.x);
  let b1 = unpack4xI8(w.y);
  let b2 = unpack4xI8(w.z);
  let b3 = unpack4xI8(w.w);
  for (var i = 0u; i < TILE_PIXELS; i++) {
    total[i * 4u * TILE_VECTORS + channel] += dot(unpack4xI8(a[i].x), b0) + dot(unpack4xI8(a[i].y), b1)
      + dot(unpack4xI8(a[i].z), b2) + dot(unpack4xI8(a[i].w), b3);
  }
}

fn multiply(total: ptr<function, array<i32, SUMS>>, a: ptr<function, array<vec4u, TILE_PIXELS>>, v: u32,
  w0: vec4u, w1: vec4u, w2: vec4u, w3: vec4u) {
  multiply_channel(total, a, 4u * v, vec4u(w0.x, w1.x, w2.x, w3.x));
  multiply_channel(total, a, 4u * v + 1u, vec4u(w0.y, w1.y, w2.y, w3.y));
  multiply_channel(total, a, 4u * v + 2u, vec4u(w0.z, w1.z, w2.z, w3.z));
  multiply_channel(total, a, 4u * v + 3u, vec4u(w0.w, w1.w, w2.w, w3.w));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
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
  var total: array<i32, SUMS>;
  let group_vectors = params.group_words / 4u;
  let input_vectors = params.input_words / 4u;
  let group_vector = (tile / params.group_tiles) * group_vectors;
  var at = tile * params.kernel_height * params.kernel_width * params.group_words * TILE_VECTORS;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var base: array<u32, TILE_PIXELS>;
      var inside: array<bool, TILE_PIXELS>;
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let y = pixels[i].y + i32(ky * params.dilation_height);
        let x = pixels[i].x + i32(kx * params.dilation_width);
        inside[i] = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
        let offset = ((pixels[i].image_row + u32(y)) * params.input_width + u32(x)) * input_vectors;
        base[i] = group_vector + select(0u, offset, inside[i]);
      }
      for (var vector = 0u; vector < group_vectors; vector++) {
        var w: array<vec4u, LOADS>;
        for (var load = 0u; load < LOADS; load++) {
          w[load] = load_weights(at + load * LANES + lane % LANES);
        }
        at += 4u * TILE_VECTORS;
        var a: array<vec4u, TILE_PIXELS>;
        for (var i = 0u; i < TILE_PIXELS; i++) {
          a[i] = select(vec4u(params.pad_word), input[base[i] + vector], inside[i]);
        }
        multiply(&total, &a, 0u, subgroupBroadcast(w[0], 0u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 0u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 0u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 0u));
        multiply(&total, &a, 1u, subgroupBroadcast(w[0], 1u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 1u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 1u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 1u));
        multiply(&total, &a, 2u, subgroupBroadcast(w[0], 2u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 2u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 2u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 2u));
        multiply(&total, &a, 3u, subgroupBroadcast(w[0], 3u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 3u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 3u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 3u));
        if (TILE_VECTORS > 4u) {
          multiply(&total, &a, 4u, subgroupBroadcast(w[0], 4u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 4u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 4u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 4u));
          multiply(&total, &a, 5u, subgroupBroadcast(w[0], 5u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 5u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 5u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 5u));
          multiply(&total, &a, 6u, subgroupBroadcast(w[0], 6u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 6u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 6u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 6u));
          multiply(&total, &a, 7u, subgroupBroadcast(w[0], 7u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 7u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 7u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 7u));
        }
      }
    }
  }

  // As in conv2d-int8: a window's maximum ends up in its first pixel.
  if (POOL == 1u) {
    for (var i = 0u; i < (TILE_PIXELS - 1u) * 4u * TILE_VECTORS; i++) {
      total[i] = max(total[i], total[i + 4u * TILE_VECTORS]);
    }
    for (var i = 0u; i < (TILE_PIXELS - 2u) * 4u * TILE_VECTORS; i++) {
      total[i] = max(total[i], total[i + 8u * TILE_VECTORS]);
    }
  }
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    let offset = bias[vector];
    let scales = load_multipliers(vector);
    for (var i = 0u; i < TILE_PIXELS; i++) {
      if (first + i < params.pixel_count && (POOL == 0u || (i & 3u) == 0u)) {
        let at = 4u * (i * TILE_VECTORS + v);
        let sum = vec4i(total[at], total[at + 1u], total[at + 2u], total[at + 3u]);
        store_scaled((first + i) >> (2u * POOL), vector, unscale(sum) + offset, scales);
      }
    }
  }
}
