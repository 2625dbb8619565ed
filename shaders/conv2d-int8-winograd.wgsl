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
// One thread computes two rows of four pixels (two pool windows) by 4 * TILE_VECTORS channels, a word of input channels
// at a time. Only for kernels three wide, stride and dilation 1, even heights, widths of whole fours, and sums that
// leave a bit of int32 free: m1 and m2 add up to 2 x 256 x 384 a product. LANES is TILE_VECTORS: each lane of a
// subgroup loads one vector of weights and all of them share it (lib/subgroup-broadcast.wgsl).
//
// Input and weights are textures, because lavapipe loads 16 bytes a lane from those at once, where a storage buffer
// costs it a bounds check for each component. Against conv2d-int8-broadcast in a VGG's forward pass, same run: 1.5
// times the speed. Tried and slower: all four words in one body (100 KB of machine code), and half the rows.

const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;

// Pairs of neighbours in a block of two rows of four.
const PAIRS: u32 = 4u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var input: texture_2d<u32>;
@group(0) @binding(2) var weights: texture_2d<u32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

// What m0 to m3 of each pair multiply, four channels of input each: pair * 4 + term.
alias Terms = array<vec4i, PAIRS * 4u>;
// m0 to m3 of each output channel and pair.
alias Sums = array<vec4i, TILE_VECTORS * 4u * PAIRS>;

/// One of four by number: an array would be read from memory.
fn choose(index: u32, a: vec4u, b: vec4u, c: vec4u, d: vec4u) -> vec4u {
  let odd = (index & 1u) == 1u;
  return select(select(a, b, odd), select(c, d, odd), index > 1u);
}

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

/// Four columns of a row to the terms of a pair.
fn transform(terms: ptr<function, Terms>, at: u32, d0: u32, d1: u32, d2: u32, d3: u32) {
  let a = unpack4xI8(d0);
  let b = unpack4xI8(d1);
  let c = unpack4xI8(d2);
  let d = unpack4xI8(d3);
  terms[at] = a - c;
  terms[at + 1u] = b + c;
  terms[at + 2u] = c - b;
  terms[at + 3u] = b - d;
}

/// m0 to m3 of a pair.
fn products(terms: ptr<function, Terms>, at: u32, g0: vec4i, plus: vec4i, minus: vec4i, g2: vec4i) -> vec4i {
  return vec4i(dot(terms[at], g0), dot(terms[at + 1u], plus), dot(terms[at + 2u], minus), dot(terms[at + 3u], g2));
}

/// Four inputs of a channel, for every pair.
fn multiply(sums: ptr<function, Sums>, terms: ptr<function, Terms>, channel: u32, w0: u32, w1: u32, w2: u32) {
  let g0 = unpack4xI8(w0);
  let g1 = unpack4xI8(w1);
  let g2 = unpack4xI8(w2);
  let plus = g0 + g2 + g1;
  let minus = g0 + g2 - g1;
  let at = channel * PAIRS;
  sums[at] += products(terms, 0u, g0, plus, minus, g2);
  sums[at + 1u] += products(terms, 4u, g0, plus, minus, g2);
  sums[at + 2u] += products(terms, 8u, g0, plus, minus, g2);
  sums[at + 3u] += products(terms, 12u, g0, plus, minus, g2);
}

/// The four channels of vector `v`, their words of kx in b0, b1 and b2.
fn multiply_vector(sums: ptr<function, Sums>, terms: ptr<function, Terms>, v: u32, b0: vec4u, b1: vec4u, b2: vec4u) {
  multiply(sums, terms, v * 4u, b0.x, b1.x, b2.x);
  multiply(sums, terms, v * 4u + 1u, b0.y, b1.y, b2.y);
  multiply(sums, terms, v * 4u + 2u, b0.z, b1.z, b2.z);
  multiply(sums, terms, v * 4u + 3u, b0.w, b1.w, b2.w);
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
  if (params.pool == 1u) {
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
  let block = block_at(select(0u, index, index < block_count), params.output_height / 2u, params.output_width / 4u);

  let group_vectors = params.group_words / 4u;
  let input_vectors = params.input_words / 4u;
  let group_vector = (tile / params.group_tiles) * group_vectors;
  let tap = group_vectors * 4u * TILE_VECTORS;
  let columns = columns_under(block, group_vector, input_vectors);
  var sums: Sums;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let rows = rows_under(block, ky, input_vectors);
    var at = (tile * params.kernel_height + ky) * 3u * tap + lane % LANES;
    for (var vector = 0u; vector < group_vectors; vector++) {
      var w: array<vec4u, 12>;
      for (var i = 0u; i < 12u; i++) {
        w[i] = load_weights(at + (i >> 2u) * tap + (i & 3u) * TILE_VECTORS);
      }
      at += 4u * TILE_VECTORS;
      var d: array<vec4u, 12>;
      for (var i = 0u; i < 12u; i++) {
        let texel = textureLoad(input, texel_at(rows.at[i / 6u] + columns.at[i % 6u] + vector), 0);
        d[i] = select(vec4u(params.pad_word), texel, rows.inside[i / 6u] && columns.inside[i % 6u]);
      }
      for (var word = 0u; word < 4u; word++) {
        var column: array<u32, 12>;
        for (var i = 0u; i < 12u; i++) {
          column[i] = d[i][word];
        }
        var terms: Terms;
        transform(&terms, 0u, column[0], column[1], column[2], column[3]);
        transform(&terms, 4u, column[2], column[3], column[4], column[5]);
        transform(&terms, 8u, column[6], column[7], column[8], column[9]);
        transform(&terms, 12u, column[8], column[9], column[10], column[11]);
        let w0 = choose(word, w[0], w[1], w[2], w[3]);
        let w1 = choose(word, w[4], w[5], w[6], w[7]);
        let w2 = choose(word, w[8], w[9], w[10], w[11]);
        multiply_vector(&sums, &terms, 0u, subgroupBroadcast(w0, 0u), subgroupBroadcast(w1, 0u),
          subgroupBroadcast(w2, 0u));
        multiply_vector(&sums, &terms, 1u, subgroupBroadcast(w0, 1u), subgroupBroadcast(w1, 1u),
          subgroupBroadcast(w2, 1u));
        multiply_vector(&sums, &terms, 2u, subgroupBroadcast(w0, 2u), subgroupBroadcast(w1, 2u),
          subgroupBroadcast(w2, 2u));
        multiply_vector(&sums, &terms, 3u, subgroupBroadcast(w0, 3u), subgroupBroadcast(w1, 3u),
          subgroupBroadcast(w2, 3u));
        if (TILE_VECTORS > 4u) {
          multiply_vector(&sums, &terms, 4u, subgroupBroadcast(w0, 4u), subgroupBroadcast(w1, 4u),
            subgroupBroadcast(w2, 4u));
          multiply_vector(&sums, &terms, 5u, subgroupBroadcast(w0, 5u), subgroupBroadcast(w1, 5u),
            subgroupBroadcast(w2, 5u));
          multiply_vector(&sums, &terms, 6u, subgroupBroadcast(w0, 6u), subgroupBroadcast(w1, 6u),
            subgroupBroadcast(w2, 6u));
          multiply_vector(&sums, &terms, 7u, subgroupBroadcast(w0, 7u), subgroupBroadcast(w1, 7u),
            subgroupBroadcast(w2, 7u));
        }
      }
    }
  }

  if (index >= block_count) {
    return;
  }
  // Copied, and read in a loop whose end is only known at run time: unrolled, the epilogue would take ten times as long
  // to compile as the rest, and sums that are indexed here would be slow to add to.
  var outputs: array<vec4i, TILE_VECTORS * 8u>;
  finish_vector(&sums, &outputs, 0u);
  finish_vector(&sums, &outputs, 1u);
  finish_vector(&sums, &outputs, 2u);
  finish_vector(&sums, &outputs, 3u);
  if (TILE_VECTORS > 4u) {
    finish_vector(&sums, &outputs, 4u);
    finish_vector(&sums, &outputs, 5u);
    finish_vector(&sums, &outputs, 6u);
    finish_vector(&sums, &outputs, 7u);
  }
  let first = tile * TILE_VECTORS;
  let output_vectors = select((params.output_words + 3u) / 4u, params.output_words, OUTPUT == 0u);
  let pool = params.pool;
  let columns_out = params.output_width >> pool;
  let corner = (block.image * (params.output_height >> pool) + (block.y >> pool)) * columns_out + (block.x >> pool);
  for (var v = 0u; v < min(TILE_VECTORS, output_vectors - first); v++) {
    let offset = bias[first + v];
    let scales = load_multipliers(first + v);
    for (var i = 0u; i < select(8u, 2u, pool == 1u); i++) {
      let pixel = corner + (i >> 2u) * columns_out + (i & 3u);
      store_scaled(pixel, first + v, unscale(outputs[v * 8u + i]) + offset, scales);
    }
  }
}
