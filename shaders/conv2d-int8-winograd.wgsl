// conv2d-int8 by Winograd's F(2, 3) along rows (Lavin and Gray 2016, arXiv 1509.09308), exact in integers, for adapters
// that are a CPU and have subgroups: two neighbours of a row take four products a weight row instead of six.
//
//   m0 = (d0 - d2) g0                m1 = (d1 + d2) (g0 + g1 + g2)
//   m2 = (d2 - d1) (g0 - g1 + g2)    m3 = (d1 - d3) g2                    each summed over ky and channels, then
//   acc[x] = m0 + (m1 + m2) / 2      acc[x + 1] = (m1 - m2) / 2 - m3      (the sum and difference are even)
//   out[p, o] = requantize(max over the pool window of acc + bias[o])
//
// where d0..d3 are four inputs of the row and g0..g2 the weights of one ky.
//
// buffer      shape                                   dtype
// input       batch, height, width, input_words / 4   texels of 16 int8 channels; whole texels a group
// weights     tile, ky, kx, word, TILE_VECTORS x 4    WEIGHT_BITS codes (lib/narrow-weights.wgsl), in texels
// bias        tile x TILE_VECTORS                     vec4i
// multipliers tile x TILE_VECTORS x 4                 vec2u a channel (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      batch, out_height, out_width, words     int8 words (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2)
//
// One thread computes two rows of four pixels (two pool windows) by 16 channels. Only for kernels three wide, stride
// and dilation 1, even heights, widths of whole fours, and sums that leave a bit of int32 free: m1 and m2 add up to
// 256 x 384 a product. A subgroup loads neighbours of the weights together (lib/subgroup-broadcast.wgsl).
//
// Input and weights are textures, because lavapipe loads 16 bytes a lane from those at once, where a storage buffer
// costs it a bounds check for each component. Larger tiles were no faster and compile longer.

const POOL: u32 = 0u;
const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;

// Pairs of neighbours in a block of two rows of four.
const PAIRS: u32 = 4u;

struct Params {
  input_height: u32,
  input_width: u32,
  input_words: u32,
  output_height: u32,
  output_width: u32,
  output_words: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
  group_words: u32,
  group_tiles: u32,
  pixel_count: u32,
  tile_count: u32,
  pad_word: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var input: texture_2d<u32>;
@group(0) @binding(2) var weights: texture_2d<u32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

// m0 to m3 of each output channel and pair.
alias Sums = array<vec4i, TILE_VECTORS * 4u * PAIRS>;
// What they multiply, by four channels of input: (pair * 4 + word) * 4 + term.
alias Terms = array<vec4i, PAIRS * 16u>;

fn load_weights(vector: u32) -> vec4u {
  if (WEIGHT_BITS == 8u) {
    return textureLoad(weights, texel_at(vector), 0);
  }
  if (WEIGHT_BITS == 4u) {
    let texel = textureLoad(weights, texel_at(vector >> 1u), 0);
    return widen_nibbles(select(texel.xy, texel.zw, (vector & 1u) == 1u));
  }
  let texel = textureLoad(weights, texel_at(vector >> 2u), 0);
  let pair = select(texel.xy, texel.zw, (vector & 2u) == 2u);
  return widen_crumbs(select(pair.x, pair.y, (vector & 1u) == 1u));
}

/// One word of four columns of a row, to the terms of a pair.
fn transform_word(terms: ptr<function, Terms>, at: u32, d0: u32, d1: u32, d2: u32, d3: u32) {
  let a = unpack4xI8(d0);
  let b = unpack4xI8(d1);
  let c = unpack4xI8(d2);
  let d = unpack4xI8(d3);
  terms[at] = a - c;
  terms[at + 1u] = b + c;
  terms[at + 2u] = c - b;
  terms[at + 3u] = b - d;
}

fn transform(terms: ptr<function, Terms>, pair: u32, d0: vec4u, d1: vec4u, d2: vec4u, d3: vec4u) {
  transform_word(terms, pair * 16u, d0.x, d1.x, d2.x, d3.x);
  transform_word(terms, pair * 16u + 4u, d0.y, d1.y, d2.y, d3.y);
  transform_word(terms, pair * 16u + 8u, d0.z, d1.z, d2.z, d3.z);
  transform_word(terms, pair * 16u + 12u, d0.w, d1.w, d2.w, d3.w);
}

/// A pair's products of four inputs.
fn products(terms: ptr<function, Terms>, at: u32, g0: vec4i, plus: vec4i, minus: vec4i, g2: vec4i) -> vec4i {
  return vec4i(dot(terms[at], g0), dot(terms[at + 1u], plus), dot(terms[at + 2u], minus), dot(terms[at + 3u], g2));
}

/// Four inputs of a channel, for every pair.
fn multiply_word(sums: ptr<function, Sums>, terms: ptr<function, Terms>, channel: u32, word: u32, w0: u32, w1: u32,
  w2: u32) {
  let g0 = unpack4xI8(w0);
  let g1 = unpack4xI8(w1);
  let g2 = unpack4xI8(w2);
  let plus = g0 + g2 + g1;
  let minus = g0 + g2 - g1;
  let at = channel * PAIRS;
  sums[at] += products(terms, word * 4u, g0, plus, minus, g2);
  sums[at + 1u] += products(terms, 16u + word * 4u, g0, plus, minus, g2);
  sums[at + 2u] += products(terms, 32u + word * 4u, g0, plus, minus, g2);
  sums[at + 3u] += products(terms, 48u + word * 4u, g0, plus, minus, g2);
}

fn multiply(sums: ptr<function, Sums>, terms: ptr<function, Terms>, channel: u32, w0: vec4u, w1: vec4u, w2: vec4u) {
  multiply_word(sums, terms, channel, 0u, w0.x, w1.x, w2.x);
  multiply_word(sums, terms, channel, 1u, w0.y, w1.y, w2.y);
  multiply_word(sums, terms, channel, 2u, w0.z, w1.z, w2.z);
  multiply_word(sums, terms, channel, 3u, w0.w, w1.w, w2.w);
}

/// The four channels of vector `v`; b[kx * 4 + word] holds that word of each.
fn multiply_vector(sums: ptr<function, Sums>, terms: ptr<function, Terms>, v: u32, b: array<vec4u, 12>) {
  multiply(sums, terms, v * 4u, vec4u(b[0].x, b[1].x, b[2].x, b[3].x), vec4u(b[4].x, b[5].x, b[6].x, b[7].x),
    vec4u(b[8].x, b[9].x, b[10].x, b[11].x));
  multiply(sums, terms, v * 4u + 1u, vec4u(b[0].y, b[1].y, b[2].y, b[3].y), vec4u(b[4].y, b[5].y, b[6].y, b[7].y),
    vec4u(b[8].y, b[9].y, b[10].y, b[11].y));
  multiply(sums, terms, v * 4u + 2u, vec4u(b[0].z, b[1].z, b[2].z, b[3].z), vec4u(b[4].z, b[5].z, b[6].z, b[7].z),
    vec4u(b[8].z, b[9].z, b[10].z, b[11].z));
  multiply(sums, terms, v * 4u + 3u, vec4u(b[0].w, b[1].w, b[2].w, b[3].w), vec4u(b[4].w, b[5].w, b[6].w, b[7].w),
    vec4u(b[8].w, b[9].w, b[10].w, b[11].w));
}

/// The two outputs of a pair, of four channels each.
fn finish(sums: ptr<function, Sums>, v: u32, pair: u32) -> array<vec4i, 2> {
  let at = v * 4u * PAIRS + pair;
  let a = sums[at];
  let b = sums[at + PAIRS];
  let c = sums[at + 2u * PAIRS];
  let d = sums[at + 3u * PAIRS];
  let m1 = vec4i(a.y, b.y, c.y, d.y);
  let m2 = vec4i(a.z, b.z, c.z, d.z);
  return array(vec4i(a.x, b.x, c.x, d.x) + ((m1 + m2) >> vec4u(1u)),
    ((m1 - m2) >> vec4u(1u)) - vec4i(a.w, b.w, c.w, d.w));
}

/// A vector's outputs of a block: two rows of four, or of two pool windows its first two.
fn finish_vector(sums: ptr<function, Sums>, outputs: ptr<function, array<vec4i, TILE_VECTORS * 8u>>, v: u32) {
  let a = finish(sums, v, 0u);
  let b = finish(sums, v, 1u);
  let c = finish(sums, v, 2u);
  let d = finish(sums, v, 3u);
  let at = v * 8u;
  if (POOL == 1u) {
    outputs[at] = max(max(a[0], a[1]), max(c[0], c[1]));
    outputs[at + 1u] = max(max(b[0], b[1]), max(d[0], d[1]));
    return;
  }
  outputs[at] = a[0];
  outputs[at + 1u] = a[1];
  outputs[at + 2u] = b[0];
  outputs[at + 3u] = b[1];
  outputs[at + 4u] = c[0];
  outputs[at + 5u] = c[1];
  outputs[at + 6u] = d[0];
  outputs[at + 7u] = d[1];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let block_count = params.pixel_count / 8u;
  let groups = (block_count + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / groups;
  if (tile >= params.tile_count) {
    return;
  }
  let index = (linear % groups) * WORKGROUP_SIZE + local;
  // A block past the end is block 0: it is computed again and never stored.
  var block = select(0u, index, index < block_count);
  let x0 = (block % (params.output_width / 4u)) * 4u;
  block /= params.output_width / 4u;
  let y0 = (block % (params.output_height / 2u)) * 2u;
  let image = block / (params.output_height / 2u);

  let group_vectors = params.group_words / 4u;
  let input_vectors = params.input_words / 4u;
  let group_vector = (tile / params.group_tiles) * group_vectors;
  let tap = group_vectors * 4u * TILE_VECTORS;
  var columns: array<u32, 6>;
  var inside: array<bool, 6>;
  for (var c = 0u; c < 6u; c++) {
    let x = i32(x0 + c) - i32(params.pad_left);
    inside[c] = x >= 0 && x < i32(params.input_width);
    columns[c] = group_vector + select(0u, u32(x) * input_vectors, inside[c]);
  }
  var sums: Sums;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    var rows: array<u32, 2>;
    var in_row: array<bool, 2>;
    for (var r = 0u; r < 2u; r++) {
      let y = i32(y0 + r + ky * params.dilation_height) - i32(params.pad_top);
      in_row[r] = y >= 0 && y < i32(params.input_height);
      rows[r] = (image * params.input_height + select(0u, u32(y), in_row[r])) * params.input_width * input_vectors;
    }
    var at = (tile * params.kernel_height + ky) * 3u * tap + lane % LANES;
    for (var vector = 0u; vector < group_vectors; vector++) {
      var w: array<vec4u, 3u * LOADS>;
      for (var i = 0u; i < 3u * LOADS; i++) {
        w[i] = load_weights(at + (i / LOADS) * tap + (i % LOADS) * LANES);
      }
      at += 4u * TILE_VECTORS;
      var terms: Terms;
      for (var r = 0u; r < 2u; r++) {
        var d: array<vec4u, 6>;
        for (var c = 0u; c < 6u; c++) {
          let texel = textureLoad(input, texel_at(rows[r] + columns[c] + vector), 0);
          d[c] = select(vec4u(params.pad_word), texel, in_row[r] && inside[c]);
        }
        transform(&terms, r * 2u, d[0], d[1], d[2], d[3]);
        transform(&terms, r * 2u + 1u, d[2], d[3], d[4], d[5]);
      }
      multiply_vector(&sums, &terms, 0u, array(
        subgroupBroadcast(w[0u], 0u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 0u),
        subgroupBroadcast(w[LOAD_2], SHIFT_2 + 0u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 0u),
        subgroupBroadcast(w[LOADS], 0u), subgroupBroadcast(w[LOADS + LOAD_1], SHIFT_1 + 0u),
        subgroupBroadcast(w[LOADS + LOAD_2], SHIFT_2 + 0u), subgroupBroadcast(w[LOADS + LOAD_3], SHIFT_3 + 0u),
        subgroupBroadcast(w[2u * LOADS], 0u), subgroupBroadcast(w[2u * LOADS + LOAD_1], SHIFT_1 + 0u),
        subgroupBroadcast(w[2u * LOADS + LOAD_2], SHIFT_2 + 0u), subgroupBroadcast(w[2u * LOADS + LOAD_3], SHIFT_3 + 0u)));
      multiply_vector(&sums, &terms, 1u, array(
        subgroupBroadcast(w[0u], 1u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 1u),
        subgroupBroadcast(w[LOAD_2], SHIFT_2 + 1u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 1u),
        subgroupBroadcast(w[LOADS], 1u), subgroupBroadcast(w[LOADS + LOAD_1], SHIFT_1 + 1u),
        subgroupBroadcast(w[LOADS + LOAD_2], SHIFT_2 + 1u), subgroupBroadcast(w[LOADS + LOAD_3], SHIFT_3 + 1u),
        subgroupBroadcast(w[2u * LOADS], 1u), subgroupBroadcast(w[2u * LOADS + LOAD_1], SHIFT_1 + 1u),
        subgroupBroadcast(w[2u * LOADS + LOAD_2], SHIFT_2 + 1u), subgroupBroadcast(w[2u * LOADS + LOAD_3], SHIFT_3 + 1u)));
      multiply_vector(&sums, &terms, 2u, array(
        subgroupBroadcast(w[0u], 2u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 2u),
        subgroupBroadcast(w[LOAD_2], SHIFT_2 + 2u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 2u),
        subgroupBroadcast(w[LOADS], 2u), subgroupBroadcast(w[LOADS + LOAD_1], SHIFT_1 + 2u),
        subgroupBroadcast(w[LOADS + LOAD_2], SHIFT_2 + 2u), subgroupBroadcast(w[LOADS + LOAD_3], SHIFT_3 + 2u),
        subgroupBroadcast(w[2u * LOADS], 2u), subgroupBroadcast(w[2u * LOADS + LOAD_1], SHIFT_1 + 2u),
        subgroupBroadcast(w[2u * LOADS + LOAD_2], SHIFT_2 + 2u), subgroupBroadcast(w[2u * LOADS + LOAD_3], SHIFT_3 + 2u)));
      multiply_vector(&sums, &terms, 3u, array(
        subgroupBroadcast(w[0u], 3u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 3u),
        subgroupBroadcast(w[LOAD_2], SHIFT_2 + 3u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 3u),
        subgroupBroadcast(w[LOADS], 3u), subgroupBroadcast(w[LOADS + LOAD_1], SHIFT_1 + 3u),
        subgroupBroadcast(w[LOADS + LOAD_2], SHIFT_2 + 3u), subgroupBroadcast(w[LOADS + LOAD_3], SHIFT_3 + 3u),
        subgroupBroadcast(w[2u * LOADS], 3u), subgroupBroadcast(w[2u * LOADS + LOAD_1], SHIFT_1 + 3u),
        subgroupBroadcast(w[2u * LOADS + LOAD_2], SHIFT_2 + 3u), subgroupBroadcast(w[2u * LOADS + LOAD_3], SHIFT_3 + 3u)));
    }
  }

  if (index >= block_count) {
    return;
  }
  // Copied, and read in a loop whose end is only known at run time: unrolled over 32 vectors the epilogue would take the
  // driver most of its time to compile, and indexed here the sums themselves would not stay in registers.
  var outputs: array<vec4i, TILE_VECTORS * 8u>;
  finish_vector(&sums, &outputs, 0u);
  finish_vector(&sums, &outputs, 1u);
  finish_vector(&sums, &outputs, 2u);
  finish_vector(&sums, &outputs, 3u);
  let first = tile * TILE_VECTORS;
  let output_vectors = select((params.output_words + 3u) / 4u, params.output_words, OUTPUT == 0u);
  let columns_out = params.output_width >> POOL;
  let corner = (image * (params.output_height >> POOL) + (y0 >> POOL)) * columns_out + (x0 >> POOL);
  for (var v = 0u; v < min(TILE_VECTORS, output_vectors - first); v++) {
    let offset = bias[first + v];
    let scales = load_multipliers(first + v);
    for (var i = 0u; i < select(8u, 2u, POOL == 1u); i++) {
      let pixel = corner + (i >> 2u) * columns_out + (i & 3u);
      store_scaled(pixel, first + v, unscale(outputs[v * 8u + i]) + offset, scales);
    }
  }
}
