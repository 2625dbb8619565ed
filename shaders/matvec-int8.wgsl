// int8 products of a few rows with a matrix (GEMV): every weight is read once, so memory bounds it and tiles would idle.
//
//   acc[m, n] = bias[n] + sum_k input[m, k] * b[k, n]        out[m, n] = requantize(acc[m, n]), as conv2d-int8-tiled
//
// buffer      shape                                 dtype
// input       pixel_count, input_words              4 int8 along k a u32, lowest k lowest
// weights     tile, word, TILE_VECTORS x 4          WEIGHT_BITS codes of b, 4 along k a lane (lib/packed-weights.wgsl)
// bias        tile x TILE_VECTORS                   vec4i
// multipliers tile x TILE_VECTORS x 4               vec2u a column (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      pixel_count, output_words             4 int8 a u32 (OUTPUT 0), or one i32/f32 a column (OUTPUT 1/2);
//             splits, pixel, tile x TILE_VECTORS x 4   i32 sums with SPLIT, for sum-splits-int8
//
// One workgroup takes one weight tile, one row and one of `splits` shares of k. Its threads walk the tile in memory
// order, WORKGROUP_SIZE consecutive vectors a turn; thread t always meets column vector t mod TILE_VECTORS, and the
// sums of equal columns meet in workgroup memory (4 KB), halved until one is left. Integers are exact in any order.
// WORKGROUP_SIZE is a multiple of TILE_VECTORS; both are powers of two.

const TILE_VECTORS: u32 = 16u;
const OUTPUT: u32 = 0u;
const SPLIT: u32 = 0u;
const WORKGROUP_SIZE: u32 = 256u;
alias Loaded = u32;

struct Params {
  input_words: u32,
  output_words: u32,
  pixel_count: u32,
  tile_count: u32,
  splits: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

var<workgroup> partial_sums: array<vec4i, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32) {
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear % params.tile_count;
  let row = (linear / params.tile_count) % params.pixel_count;
  let split = linear / (params.tile_count * params.pixel_count);
  if (split >= params.splits) {
    return;
  }
  let share = (params.input_words + params.splits - 1u) / params.splits;
  let last = min((split + 1u) * share, params.input_words);
  var sum = vec4i();
  for (var k = split * share + thread / TILE_VECTORS; k < last; k += WORKGROUP_SIZE / TILE_VECTORS) {
    let b = load_weights((tile * params.input_words + k) * TILE_VECTORS + thread % TILE_VECTORS);
    sum += dot_int(input[row * params.input_words + k], b);
  }
  partial_sums[thread] = sum;
  for (var half = WORKGROUP_SIZE / 2u; half >= TILE_VECTORS; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      partial_sums[thread] += partial_sums[thread + half];
    }
  }
  if (thread >= TILE_VECTORS) {
    return;
  }
  let vector = tile * TILE_VECTORS + thread;
  let total = unscale(partial_sums[thread]);
  if (SPLIT == 1u) {
    let at = ((split * params.pixel_count + row) * params.tile_count * TILE_VECTORS + vector) * 4u;
    for (var lane = 0u; lane < 4u; lane++) {
      output[at + lane] = bitcast<u32>(total[lane]);
    }
  } else {
    store(row, vector, total + bias[vector]);
  }
}
