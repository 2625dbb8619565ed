// conv2d by Winograd's F(2, 3) along rows (Lavin and Gray 2016, arXiv 1509.09308), for adapters that are a CPU and have
// subgroups: two neighbours of a row take four products a weight row instead of six.
//
//   m0 = (d0 - d2) g0                    m1 = (d1 + d2) (g0 + g1 + g2) / 2
//   m2 = (d2 - d1) (g0 - g1 + g2) / 2    m3 = (d1 - d3) g2                    each summed over ky and channels, then
//   sum[x] = m0 + m1 + m2                sum[x + 1] = m1 - m2 - m3
//   out[p, o] = max over the pool window of clamp(sum[p, o] * scale[o] + shift[o], low, high)
//
// where d0..d3 are four inputs of the row and g0..g2 the weights of one ky.
//
// buffer      shape                                       dtype
// input       batch, height, width, input_vectors         texels of 4 f32 channels, padded to 4 with zeros
// weights     tile, ky, kx, channel, TILE_VECTORS         texels of 4 f32: four output channels
// scale,shift tile x TILE_VECTORS                         vec4f
// output      batch, out_height, out_width, out_vectors   vec4f; with pool, of windows of 2 x 2
//
// One thread computes two rows of four pixels (two pool windows) by 4 * TILE_VECTORS channels. Only for kernels three
// wide, stride and dilation 1. LANES is TILE_VECTORS: each lane of a subgroup loads one vector of weights and transforms
// it, and all of them share what comes of it (lib/subgroup-broadcast.wgsl). Input and weights are textures, as in
// conv2d-int8-winograd and for the same reason. Against conv2d-broadcast a VGG of batch 32 runs
// 1.24 times as fast (lloyd bench vgg-forward --against). Tried: half the channels a thread, no faster than
// conv2d-broadcast; F(4, 3), no faster than F(2, 3), and a NaN would reach six outputs.
//
// Rounding: within 2e-6 of the largest output, 3.4e-7 in the test of 3 x 3 x 512 terms. An infinite input makes NaN of
// the sums that it is in, because infinite terms cancel: a sum that is NaN is computed again, as conv2d does.

override WORKGROUP_SIZE: u32 = 8u;

// Pairs of neighbours in a block of two rows of four.
const PAIRS: u32 = 4u;

struct Params {
  input_height: u32,
  input_width: u32,
  input_vectors: u32,
  output_height: u32,
  output_width: u32,
  output_vectors: u32,
  kernel_height: u32,
  dilation_height: u32,
  pad_top: u32,
  pad_left: u32,
  group_vectors: u32,
  group_tiles: u32,
  image_count: u32,
  tile_count: u32,
  pool: u32,
  low: f32,
  high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var input: texture_2d<u32>;
@group(0) @binding(2) var weights: texture_2d<u32>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

// What m0 to m3 of each pair multiply, four channels of input each: pair * 4 + term.
alias Terms = array<vec4f, PAIRS * 4u>;
// m0 to m3 of each vector of output channels and pair: (vector * PAIRS + pair) * 4 + term.
alias Sums = array<vec4f, TILE_VECTORS * 4u * PAIRS>;

/// Four columns of a row to the terms of a pair.
fn transform(terms: ptr<function, Terms>, at: u32, d0: vec4f, d1: vec4f, d2: vec4f, d3: vec4f) {
  terms[at] = d0 - d2;
  terms[at + 1u] = d1 + d2;
  terms[at + 2u] = d2 - d1;
  terms[at + 3u] = d1 - d3;
}

/// One of m0 to m3 of every pair, from four channels of input.
fn multiply(sums: ptr<function, Sums>, terms: ptr<function, Terms>, v: u32, term: u32, g0: vec4f, g1: vec4f, g2: vec4f,
  g3: vec4f) {
  for (var pair = 0u; pair < PAIRS; pair++) {
    let a = terms[pair * 4u + term];
    let at = (v * PAIRS + pair) * 4u + term;
    sums[at] += (a.x * g0 + a.y * g1) + (a.z * g2 + a.w * g3);
  }
}

/// The two outputs of each pair of a vector, before their scale.
fn finish(sums: ptr<function, Sums>, outputs: ptr<function, array<vec4f, TILE_VECTORS * 8u>>, v: u32) {
  for (var pair = 0u; pair < PAIRS; pair++) {
    let at = (v * PAIRS + pair) * 4u;
    outputs[v * 8u + pair * 2u] = sums[at] + (sums[at + 1u] + sums[at + 2u]);
    outputs[v * 8u + pair * 2u + 1u] = (sums[at + 1u] - sums[at + 2u]) - sums[at + 3u];
  }
}

/// The sum of a pixel by its definition: the weights of its vector are at `first` and a tap apart.
fn direct(image: u32, y: u32, x: u32, group_vector: u32, first: u32, tap: u32) -> vec4f {
  var sum = vec4f();
  for (var i = 0u; i < params.kernel_height * 3u; i++) {
    let row = i32(y + i / 3u * params.dilation_height) - i32(params.pad_top);
    let column = i32(x + i % 3u) - i32(params.pad_left);
    if (row < 0 || column < 0 || row >= i32(params.input_height) || column >= i32(params.input_width)) {
      continue;
    }
    let pixel = (image * params.input_height + u32(row)) * params.input_width + u32(column);
    for (var c = 0u; c < params.group_vectors * 4u; c++) {
      let texel = textureLoad(input, texel_at(pixel * params.input_vectors + group_vector + c / 4u), 0);
      let weight = textureLoad(weights, texel_at(first + i * tap + c * TILE_VECTORS), 0);
      sum += bitcast<f32>(texel[c % 4u]) * bitcast<vec4f>(weight);
    }
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  // Blocks past an edge compute what is not stored.
  let across = (params.output_width + 3u) / 4u;
  let down = (params.output_height + 1u) / 2u;
  let block_count = params.image_count * down * across;
  let groups = (block_count + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / groups;
  if (tile >= params.tile_count) {
    return;
  }
  let index = (linear % groups) * WORKGROUP_SIZE + local;
  // A block past the end is block 0: it is computed again and never stored.
  let block = block_at(select(0u, index, index < block_count), down, across);

  let group_vector = (tile / params.group_tiles) * params.group_vectors;
  let tap = params.group_vectors * 4u * TILE_VECTORS;
  let columns = columns_under(block, group_vector, params.input_vectors);
  var sums: Sums;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let rows = rows_under(block, ky, params.input_vectors);
    var at = (tile * params.kernel_height + ky) * 3u * tap + lane % LANES;
    for (var vector = 0u; vector < params.group_vectors; vector++) {
      // What each term multiplies, of four channels of input: four channels of output in each lane.
      var first: array<vec4f, 4>;
      var plus: array<vec4f, 4>;
      var minus: array<vec4f, 4>;
      var last: array<vec4f, 4>;
      for (var c = 0u; c < 4u; c++) {
        let g0 = bitcast<vec4f>(textureLoad(weights, texel_at(at + c * TILE_VECTORS), 0));
        let g1 = bitcast<vec4f>(textureLoad(weights, texel_at(at + c * TILE_VECTORS + tap), 0));
        let g2 = bitcast<vec4f>(textureLoad(weights, texel_at(at + c * TILE_VECTORS + 2u * tap), 0));
        let ends = (g0 + g2) * 0.5;
        first[c] = g0;
        plus[c] = ends + g1 * 0.5;
        minus[c] = ends - g1 * 0.5;
        last[c] = g2;
      }
      at += 4u * TILE_VECTORS;
      var d: array<vec4f, 12>;
      for (var i = 0u; i < 12u; i++) {
        let texel = bitcast<vec4f>(textureLoad(input, texel_at(rows.at[i / 6u] + columns.at[i % 6u] + vector), 0));
        d[i] = select(vec4f(), texel, rows.inside[i / 6u] && columns.inside[i % 6u]);
      }
      var terms: Terms;
      transform(&terms, 0u, d[0], d[1], d[2], d[3]);
      transform(&terms, 4u, d[2], d[3], d[4], d[5]);
      transform(&terms, 8u, d[6], d[7], d[8], d[9]);
      transform(&terms, 12u, d[8], d[9], d[10], d[11]);
      multiply(&sums, &terms, 0u, 0u, subgroupBroadcast(first[0], 0u), subgroupBroadcast(first[1], 0u),
        subgroupBroadcast(first[2], 0u), subgroupBroadcast(first[3], 0u));
      multiply(&sums, &terms, 0u, 1u, subgroupBroadcast(plus[0], 0u), subgroupBroadcast(plus[1], 0u),
        subgroupBroadcast(plus[2], 0u), subgroupBroadcast(plus[3], 0u));
      multiply(&sums, &terms, 0u, 2u, subgroupBroadcast(minus[0], 0u), subgroupBroadcast(minus[1], 0u),
        subgroupBroadcast(minus[2], 0u), subgroupBroadcast(minus[3], 0u));
      multiply(&sums, &terms, 0u, 3u, subgroupBroadcast(last[0], 0u), subgroupBroadcast(last[1], 0u),
        subgroupBroadcast(last[2], 0u), subgroupBroadcast(last[3], 0u));
      multiply(&sums, &terms, 1u, 0u, subgroupBroadcast(first[0], 1u), subgroupBroadcast(first[1], 1u),
        subgroupBroadcast(first[2], 1u), subgroupBroadcast(first[3], 1u));
      multiply(&sums, &terms, 1u, 1u, subgroupBroadcast(plus[0], 1u), subgroupBroadcast(plus[1], 1u),
        subgroupBroadcast(plus[2], 1u), subgroupBroadcast(plus[3], 1u));
      multiply(&sums, &terms, 1u, 2u, subgroupBroadcast(minus[0], 1u), subgroupBroadcast(minus[1], 1u),
        subgroupBroadcast(minus[2], 1u), subgroupBroadcast(minus[3], 1u));
      multiply(&sums, &terms, 1u, 3u, subgroupBroadcast(last[0], 1u), subgroupBroadcast(last[1], 1u),
        subgroupBroadcast(last[2], 1u), subgroupBroadcast(last[3], 1u));
      multiply(&sums, &terms, 2u, 0u, subgroupBroadcast(first[0], 2u), subgroupBroadcast(first[1], 2u),
        subgroupBroadcast(first[2], 2u), subgroupBroadcast(first[3], 2u));
      multiply(&sums, &terms, 2u, 1u, subgroupBroadcast(plus[0], 2u), subgroupBroadcast(plus[1], 2u),
        subgroupBroadcast(plus[2], 2u), subgroupBroadcast(plus[3], 2u));
      multiply(&sums, &terms, 2u, 2u, subgroupBroadcast(minus[0], 2u), subgroupBroadcast(minus[1], 2u),
        subgroupBroadcast(minus[2], 2u), subgroupBroadcast(minus[3], 2u));
      multiply(&sums, &terms, 2u, 3u, subgroupBroadcast(last[0], 2u), subgroupBroadcast(last[1], 2u),
        subgroupBroadcast(last[2], 2u), subgroupBroadcast(last[3], 2u));
      multiply(&sums, &terms, 3u, 0u, subgroupBroadcast(first[0], 3u), subgroupBroadcast(first[1], 3u),
        subgroupBroadcast(first[2], 3u), subgroupBroadcast(first[3], 3u));
      multiply(&sums, &terms, 3u, 1u, subgroupBroadcast(plus[0], 3u), subgroupBroadcast(plus[1], 3u),
        subgroupBroadcast(plus[2], 3u), subgroupBroadcast(plus[3], 3u));
      multiply(&sums, &terms, 3u, 2u, subgroupBroadcast(minus[0], 3u), subgroupBroadcast(minus[1], 3u),
        subgroupBroadcast(minus[2], 3u), subgroupBroadcast(minus[3], 3u));
      multiply(&sums, &terms, 3u, 3u, subgroupBroadcast(last[0], 3u), subgroupBroadcast(last[1], 3u),
        subgroupBroadcast(last[2], 3u), subgroupBroadcast(last[3], 3u));
      if (TILE_VECTORS > 4u) {
        multiply(&sums, &terms, 4u, 0u, subgroupBroadcast(first[0], 4u), subgroupBroadcast(first[1], 4u),
          subgroupBroadcast(first[2], 4u), subgroupBroadcast(first[3], 4u));
        multiply(&sums, &terms, 4u, 1u, subgroupBroadcast(plus[0], 4u), subgroupBroadcast(plus[1], 4u),
          subgroupBroadcast(plus[2], 4u), subgroupBroadcast(plus[3], 4u));
        multiply(&sums, &terms, 4u, 2u, subgroupBroadcast(minus[0], 4u), subgroupBroadcast(minus[1], 4u),
          subgroupBroadcast(minus[2], 4u), subgroupBroadcast(minus[3], 4u));
        multiply(&sums, &terms, 4u, 3u, subgroupBroadcast(last[0], 4u), subgroupBroadcast(last[1], 4u),
          subgroupBroadcast(last[2], 4u), subgroupBroadcast(last[3], 4u));
        multiply(&sums, &terms, 5u, 0u, subgroupBroadcast(first[0], 5u), subgroupBroadcast(first[1], 5u),
          subgroupBroadcast(first[2], 5u), subgroupBroadcast(first[3], 5u));
        multiply(&sums, &terms, 5u, 1u, subgroupBroadcast(plus[0], 5u), subgroupBroadcast(plus[1], 5u),
          subgroupBroadcast(plus[2], 5u), subgroupBroadcast(plus[3], 5u));
        multiply(&sums, &terms, 5u, 2u, subgroupBroadcast(minus[0], 5u), subgroupBroadcast(minus[1], 5u),
          subgroupBroadcast(minus[2], 5u), subgroupBroadcast(minus[3], 5u));
        multiply(&sums, &terms, 5u, 3u, subgroupBroadcast(last[0], 5u), subgroupBroadcast(last[1], 5u),
          subgroupBroadcast(last[2], 5u), subgroupBroadcast(last[3], 5u));
        multiply(&sums, &terms, 6u, 0u, subgroupBroadcast(first[0], 6u), subgroupBroadcast(first[1], 6u),
          subgroupBroadcast(first[2], 6u), subgroupBroadcast(first[3], 6u));
        multiply(&sums, &terms, 6u, 1u, subgroupBroadcast(plus[0], 6u), subgroupBroadcast(plus[1], 6u),
          subgroupBroadcast(plus[2], 6u), subgroupBroadcast(plus[3], 6u));
        multiply(&sums, &terms, 6u, 2u, subgroupBroadcast(minus[0], 6u), subgroupBroadcast(minus[1], 6u),
          subgroupBroadcast(minus[2], 6u), subgroupBroadcast(minus[3], 6u));
        multiply(&sums, &terms, 6u, 3u, subgroupBroadcast(last[0], 6u), subgroupBroadcast(last[1], 6u),
          subgroupBroadcast(last[2], 6u), subgroupBroadcast(last[3], 6u));
        multiply(&sums, &terms, 7u, 0u, subgroupBroadcast(first[0], 7u), subgroupBroadcast(first[1], 7u),
          subgroupBroadcast(first[2], 7u), subgroupBroadcast(first[3], 7u));
        multiply(&sums, &terms, 7u, 1u, subgroupBroadcast(plus[0], 7u), subgroupBroadcast(plus[1], 7u),
          subgroupBroadcast(plus[2], 7u), subgroupBroadcast(plus[3], 7u));
        multiply(&sums, &terms, 7u, 2u, subgroupBroadcast(minus[0], 7u), subgroupBroadcast(minus[1], 7u),
          subgroupBroadcast(minus[2], 7u), subgroupBroadcast(minus[3], 7u));
        multiply(&sums, &terms, 7u, 3u, subgroupBroadcast(last[0], 7u), subgroupBroadcast(last[1], 7u),
          subgroupBroadcast(last[2], 7u), subgroupBroadcast(last[3], 7u));
      }
    }
  }

  if (index >= block_count) {
    return;
  }
  // Copied, and read in a loop whose end is only known at run time, as in conv2d-int8-winograd.
  var outputs: array<vec4f, TILE_VECTORS * 8u>;
  for (var v = 0u; v < TILE_VECTORS; v++) {
    finish(&sums, &outputs, v);
  }
  let own = tile * TILE_VECTORS;
  let width = params.output_width >> params.pool;
  let height = params.output_height >> params.pool;
  for (var v = 0u; v < min(TILE_VECTORS, params.output_vectors - own); v++) {
    for (var i = 0u; i < 8u; i++) {
      var sum = outputs[v * 8u + i];
      if (any(is_nan(sum))) {
        let first = tile * params.kernel_height * 3u * tap + v;
        sum = direct(block.image, block.y + (i >> 2u), block.x + (i & 3u), group_vector, first, tap);
      }
      let value = sum * scale[own + v] + shift[own + v];
      outputs[v * 8u + i] = clamp_or_nan(value, params.low, params.high);
    }
    for (var i = 0u; i < select(8u, 2u, params.pool == 1u); i++) {
      let x = (block.x >> params.pool) + (i & 3u);
      let y = (block.y >> params.pool) + (i >> 2u);
      var value = outputs[v * 8u + i];
      if (params.pool == 1u) {
        let top = v * 8u + i * 2u;
        value = max_or_nan(max_or_nan(outputs[top], outputs[top + 1u]), max_or_nan(outputs[top + 4u], outputs[top + 5u]));
      }
      if (x < width && y < height) {
        output[((block.image * height + y) * width + x) * params.output_vectors + own + v] = value;
      }
    }
  }
}
