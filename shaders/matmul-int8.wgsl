// int8 matrix product: int32 accumulation, then bias, clamp and requantization in the same pass (GEMM; GEMV for M = 1).
//
//   acc[m, n] = bias[n] + sum_k a[m, k] * b[k, n]        out[m, n] = requantize(acc[m, n])
//
// Zero points: b is symmetric; a's zero point is folded into the bias by the host (bias - zero_point * sum_k b).
//
// buffer      shape                               dtype
// input       M, k_words                          4 int8 along k a u32, lowest k lowest
// weights     tile, word, TILE_VECTORS x 4        WEIGHT_BITS codes of b, 4 along k a lane (lib/packed-weights.wgsl)
// bias        tile x TILE_VECTORS                 vec4i
// multipliers tile x TILE_VECTORS x 4             vec2u a column (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      M, output_words                     4 int8 a u32 (OUTPUT 0), or one i32/f32 a column (OUTPUT 1/2)
//
// One thread computes TILE_PIXELS rows x (4 * TILE_VECTORS) columns in registers: no barrier, no workgroup memory;
// one workgroup shares its columns and so its part of the cache (conv2d-int8 has the measurements).
// Integers are exact: K * 128 * 128 must stay below 2^31, which the host checks. A ragged tail of rows computes
// row 0 again and stores nothing.

const TILE_PIXELS: u32 = 8u;
const TILE_VECTORS: u32 = 4u;
const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 16u;

struct Params {
  row_count: u32,
  input_words: u32,
  output_words: u32,
  tile_count: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

fn load_input(at: u32, inside: bool) -> u32 {
  return input[at];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let linear = workgroup.x + workgroup.y * count.x;
  let blocks = block_count(params.row_count);
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = first_pixel(linear % blocks, local);
  var rows: Window;
  for (var i = 0u; i < TILE_PIXELS; i++) {
    rows.base[i] = select(0u, (first + i) * params.input_words, first + i < params.row_count);
  }
  var sums: Sums;
  var at = tile * params.input_words * TILE_VECTORS;
  for (var word = 0u; word < params.input_words; word++) {
    multiply(&sums, &rows, word, at, 0u);
    at += TILE_VECTORS;
  }
  for (var i = 0u; i < TILE_PIXELS; i++) {
    if (first + i < params.row_count) {
      store_vectors(first + i, tile, &sums, i);
    }
  }
}
