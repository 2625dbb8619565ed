// f32 convolution for GPUs out of codebook weights, which stay packed in memory: the loader expands them through the
// table in workgroup memory while it stages a tile.
//
//   sum[p, o] = sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * codebook[code[o, ky, kx, c]]
//   out[p, o] = max over the pool window of clamp(sum[p, o] * scale[o] + shift[o], low, high)
//
// buffer      shape                                       dtype
// input       batch, height, width, input_vectors         vec4f, channels padded to 4 with zeros
// codes       tile, ky, kx, channel, TILE_VECTORS x 4     CODE_BITS (8, 4, 2, 1) each in u32, first code lowest
// codebook    2^CODE_BITS or fewer                        f32
// scale,shift tile x TILE_VECTORS                         vec4f
// output      batch, out_height, out_width, out_vectors   vec4f
//
// A code of padding is 0: its entry meets input channels that are zero, or output channels that are not stored.
// Each of a tile's weights is looked up once by each workgroup, for TILE_PIXELS multiplications. The table takes 1 KB
// at most. Tiles, threads, memory and edges: lib/tiled-float.wgsl.

alias Real = f32;
const CHUNKED: u32 = 0u;
const CODE_BITS: u32 = 4u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> codes: array<u32>;
@group(0) @binding(3) var<storage, read> codebook: array<f32>;
@group(0) @binding(4) var<storage, read> scale: array<vec4f>;
@group(0) @binding(5) var<storage, read> shift: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;

var<workgroup> table: array<f32, 1u << CODE_BITS>;

fn prepare_weights(thread: u32) {
  for (var i = thread; i < min(1u << CODE_BITS, arrayLength(&codebook)); i += THREADS) {
    table[i] = codebook[i];
  }
  workgroupBarrier();
}

fn weight_vector(vector: u32) -> vec4f {
  let bit = vector * 4u * CODE_BITS;
  let word = codes[bit / 32u] >> (bit % 32u);
  let mask = (1u << CODE_BITS) - 1u;
  return vec4f(table[word & mask], table[(word >> CODE_BITS) & mask], table[(word >> (2u * CODE_BITS)) & mask],
    table[(word >> (3u * CODE_BITS)) & mask]);
}
