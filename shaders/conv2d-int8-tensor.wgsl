// int8 convolution on tensor cores: an implicit GEMM of subgroup matrices, i8 operands and i32 sums, epilogue fused.
//
//   acc[p, o] = bias[o] + sum_k patch[p, k] * weight[k, o]      k = (ky, kx, word): 4 channels of one tap a word
//   out[p, o] = requantize(max over the pool window of acc)      as conv2d-int8-tiled, bit for bit
//
// A matrix product is the convolution of M images of one pixel with a 1x1 kernel, and runs here as such.
//
// buffer      shape                                         dtype
// input       batch, height, width, input_words / 4         vec4u: 16 int8 channels, channel c at byte c % 16
// weights     tile, step, TILE_CHANNELS, STEP_VECTORS       vec4u: 16 int8 along k of one channel, 0 past the last
// bias        tile x TILE_CHANNELS / 4                      vec4i
// multipliers tile x TILE_CHANNELS                          vec2u a channel; f32 scale in .x for OUTPUT 2
// output      batch, out_height, out_width, words           as the input (OUTPUT 0), or one i32/f32 a channel (1/2)
//
// One workgroup of SUBGROUPS_M x SUBGROUPS_N subgroups computes TILE_PIXELS x TILE_CHANNELS; one subgroup MATRICES_M x
// MATRICES_N matrices of MATRIX_M x MATRIX_N, the shape that the adapter lists. Each step stages STEP_VECTORS x 16 bytes
// of k; the next step's are on their way from memory meanwhile. By default 128 x 128 from 4 subgroups of 64 x 64:
// 16 result matrices of 256 sums, 128 registers a lane; 20 KB staged and 16 KB for sums on their way out.
//
// Sums and operands have a name each: an array of matrices whose index a compiler does not resolve lives in memory, and
// the loops that would resolve it are not unrolled everywhere.
//
// Edges: a matrix load outside its array answers other elements, not zeros, so every operand comes from workgroup
// memory, where tiles are always whole: k past the end has weights 0, padding is params.pad_word, pixels past the last
// are pixel 0 and are not stored. A row's stride has 16 bytes of padding against bank conflicts; offsets and strides
// stay multiples of 16 bytes, which Vulkan demands. A group has a multiple of 16 channels: no 16 bytes of k straddle taps.
// UNITS is what offsets and strides of matrix loads count for one vec4u: 1, elements of the array, as Dawn checks it in
// webgpu 0.6.2; its documentation said matrix elements, 16. The start-up self-check tells them apart.

const MATRIX_M: u32 = 16u;
const MATRIX_N: u32 = 16u;
const MATRIX_K: u32 = 32u;
const MATRICES_M: u32 = 4u;
const MATRICES_N: u32 = 4u;
const SUBGROUPS_M: u32 = 2u;
const SUBGROUPS_N: u32 = 2u;
const SUBGROUP_SIZE: u32 = 32u;
const STEP_VECTORS: u32 = 4u;
const UNITS: u32 = 1u;
const OUTPUT: u32 = 0u;

const SUBGROUP_ROWS: u32 = MATRICES_M * MATRIX_M;
const SUBGROUP_COLUMNS: u32 = MATRICES_N * MATRIX_N;
const TILE_PIXELS: u32 = SUBGROUPS_M * SUBGROUP_ROWS;
const TILE_CHANNELS: u32 = SUBGROUPS_N * SUBGROUP_COLUMNS;
const SUBGROUPS: u32 = SUBGROUPS_M * SUBGROUPS_N;
const THREADS: u32 = SUBGROUPS * SUBGROUP_SIZE;
const STRIDE: u32 = STEP_VECTORS + 1u;
const STAGE_ROWS: u32 = TILE_PIXELS * STEP_VECTORS / THREADS;
const STAGE_WEIGHTS: u32 = TILE_CHANNELS * STEP_VECTORS / THREADS;

alias Left = subgroup_matrix_left<i8, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<i8, MATRIX_N, MATRIX_K>;
alias Sums = subgroup_matrix_result<i32, MATRIX_N, MATRIX_M>;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4u>;
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

var<workgroup> tile_input: array<vec4u, TILE_PIXELS * STRIDE>;
var<workgroup> tile_weights: array<vec4u, TILE_CHANNELS * STRIDE>;
var<workgroup> tile_sums: array<i32, SUBGROUPS * MATRIX_M * SUBGROUP_COLUMNS>;

fn sums_of(at: u32) -> vec4i {
  return vec4i(tile_sums[at], tile_sums[at + 1u], tile_sums[at + 2u], tile_sums[at + 3u]);
}

/// Stores a subgroup's row of matrices out of workgroup memory: MATRIX_M pixels from `first`, channels from `column`.
fn leave(slice: u32, first: u32, column: u32, lane: u32) {
  for (var item = lane; item < MATRIX_M * SUBGROUP_COLUMNS / 16u; item += SUBGROUP_SIZE) {
    let row = (item / (SUBGROUP_COLUMNS / 4u)) * 4u;
    let own = (item % (SUBGROUP_COLUMNS / 4u)) * 4u;
    let pixel = first + row;
    let vector = (column + own) / 4u;
    let at = slice + row * SUBGROUP_COLUMNS + own;
    if (params.pool == 1u) {
      if (pixel < params.pixel_count) {
        let top = max(sums_of(at), sums_of(at + SUBGROUP_COLUMNS));
        let bottom = max(sums_of(at + 2u * SUBGROUP_COLUMNS), sums_of(at + 3u * SUBGROUP_COLUMNS));
        store(pixel / 4u, vector, max(top, bottom) + bias[vector]);
      }
    } else {
      for (var r = 0u; r < min(4u, params.pixel_count - min(pixel, params.pixel_count)); r++) {
        store(pixel + r, vector, sums_of(at + r * SUBGROUP_COLUMNS) + bias[vector]);
      }
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  // Channels vary fastest: workgroups that run together read the same pixels.
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear % params.tile_count;
  let block = linear / params.tile_count;
  if (block * TILE_PIXELS >= params.pixel_count) {
    return;
  }
  let group_vectors = params.group_words / 4u;
  let input_vectors = params.input_words / 4u;
  let kernel_vectors = params.kernel_height * params.kernel_width * group_vectors;
  let steps = (kernel_vectors + STEP_VECTORS - 1u) / STEP_VECTORS;
  let group_vector = (tile / params.group_tiles) * group_vectors;

  let stage_row = thread / STEP_VECTORS;
  let stage_vector = thread % STEP_VECTORS;
  var pixels: array<Pixel, STAGE_ROWS>;
  for (var r = 0u; r < STAGE_ROWS; r++) {
    pixels[r] = locate(block * TILE_PIXELS + stage_row + r * (THREADS / STEP_VECTORS));
  }
  var next_input: array<vec4u, STAGE_ROWS>;
  var next_weights: array<vec4u, STAGE_WEIGHTS>;
  let first_row = (subgroup / SUBGROUPS_N) * SUBGROUP_ROWS;
  let first_column = (subgroup % SUBGROUPS_N) * SUBGROUP_COLUMNS;
  var sum00: Sums; var sum01: Sums; var sum02: Sums; var sum03: Sums;
  var sum10: Sums; var sum11: Sums; var sum12: Sums; var sum13: Sums;
  var sum20: Sums; var sum21: Sums; var sum22: Sums; var sum23: Sums;
  var sum30: Sums; var sum31: Sums; var sum32: Sums; var sum33: Sums;

  // One turn more than there are steps: loading runs a step ahead of multiplying.
  for (var step = 0u; ; step++) {
    if (step < steps) {
      let k = min(step * STEP_VECTORS + stage_vector, kernel_vectors - 1u);
      let tap = k / group_vectors;
      let vector = group_vector + k - tap * group_vectors;
      for (var r = 0u; r < STAGE_ROWS; r++) {
        let pixel = tap_pixel(pixels[r], tap);
        let loaded = input[select(pixel * input_vectors + vector, 0u, pixel == OUTSIDE)];
        next_input[r] = select(loaded, vec4u(params.pad_word), pixel == OUTSIDE);
      }
      for (var i = 0u; i < STAGE_WEIGHTS; i++) {
        next_weights[i] = weights[(tile * steps + step) * TILE_CHANNELS * STEP_VECTORS + thread + i * THREADS];
      }
    }
    if (step > 0u) {
      for (var k = 0u; k < STEP_VECTORS; k += MATRIX_K / 16u) {
        let row = first_row * STRIDE + k;
        let column = first_column * STRIDE + k;
        let left0 = subgroupMatrixLoad<Left, row_major>(&tile_input, row * UNITS, STRIDE * UNITS);
        let left1 = subgroupMatrixLoad<Left, row_major>(&tile_input, (row + MATRIX_M * STRIDE) * UNITS, STRIDE * UNITS);
        var left2: Left;
        var left3: Left;
        if (MATRICES_M > 2u) {
          left2 = subgroupMatrixLoad<Left, row_major>(&tile_input, (row + 2u * MATRIX_M * STRIDE) * UNITS, STRIDE * UNITS);
          left3 = subgroupMatrixLoad<Left, row_major>(&tile_input, (row + 3u * MATRIX_M * STRIDE) * UNITS, STRIDE * UNITS);
        }
        let right0 = subgroupMatrixLoad<Right, col_major>(&tile_weights, column * UNITS, STRIDE * UNITS);
        sum00 = subgroupMatrixMultiplyAccumulate(left0, right0, sum00);
        sum10 = subgroupMatrixMultiplyAccumulate(left1, right0, sum10);
        if (MATRICES_M > 2u) {
          sum20 = subgroupMatrixMultiplyAccumulate(left2, right0, sum20);
          sum30 = subgroupMatrixMultiplyAccumulate(left3, right0, sum30);
        }
        let right1 = subgroupMatrixLoad<Right, col_major>(&tile_weights, (column + MATRIX_N * STRIDE) * UNITS, STRIDE * UNITS);
        sum01 = subgroupMatrixMultiplyAccumulate(left0, right1, sum01);
        sum11 = subgroupMatrixMultiplyAccumulate(left1, right1, sum11);
        if (MATRICES_M > 2u) {
          sum21 = subgroupMatrixMultiplyAccumulate(left2, right1, sum21);
          sum31 = subgroupMatrixMultiplyAccumulate(left3, right1, sum31);
        }
        if (MATRICES_N > 2u) {
          let right2 = subgroupMatrixLoad<Right, col_major>(&tile_weights, (column + 2u * MATRIX_N * STRIDE) * UNITS, STRIDE * UNITS);
          sum02 = subgroupMatrixMultiplyAccumulate(left0, right2, sum02);
          sum12 = subgroupMatrixMultiplyAccumulate(left1, right2, sum12);
          if (MATRICES_M > 2u) {
            sum22 = subgroupMatrixMultiplyAccumulate(left2, right2, sum22);
            sum32 = subgroupMatrixMultiplyAccumulate(left3, right2, sum32);
          }
          let right3 = subgroupMatrixLoad<Right, col_major>(&tile_weights, (column + 3u * MATRIX_N * STRIDE) * UNITS, STRIDE * UNITS);
          sum03 = subgroupMatrixMultiplyAccumulate(left0, right3, sum03);
          sum13 = subgroupMatrixMultiplyAccumulate(left1, right3, sum13);
          if (MATRICES_M > 2u) {
            sum23 = subgroupMatrixMultiplyAccumulate(left2, right3, sum23);
            sum33 = subgroupMatrixMultiplyAccumulate(left3, right3, sum33);
          }
        }
      }
    }
    if (step >= steps) {
      break;
    }
    workgroupBarrier();
    for (var r = 0u; r < STAGE_ROWS; r++) {
      tile_input[(stage_row + r * (THREADS / STEP_VECTORS)) * STRIDE + stage_vector] = next_input[r];
    }
    for (var i = 0u; i < STAGE_WEIGHTS; i++) {
      let vector = thread + i * THREADS;
      tile_weights[(vector / STEP_VECTORS) * STRIDE + vector % STEP_VECTORS] = next_weights[i];
    }
    workgroupBarrier();
  }

  // Which lane holds which sum is the driver's secret: matrices leave through workgroup memory, one row of them a turn.
  let slice = subgroup * MATRIX_M * SUBGROUP_COLUMNS;
  let first_pixel = block * TILE_PIXELS + first_row;
  let channel = tile * TILE_CHANNELS + first_column;
  subgroupMatrixStore<row_major>(&tile_sums, slice, sum00, SUBGROUP_COLUMNS);
  subgroupMatrixStore<row_major>(&tile_sums, slice + MATRIX_N, sum01, SUBGROUP_COLUMNS);
  if (MATRICES_N > 2u) {
    subgroupMatrixStore<row_major>(&tile_sums, slice + 2u * MATRIX_N, sum02, SUBGROUP_COLUMNS);
    subgroupMatrixStore<row_major>(&tile_sums, slice + 3u * MATRIX_N, sum03, SUBGROUP_COLUMNS);
  }
  workgroupBarrier();
  leave(slice, first_pixel, channel, lane);
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tile_sums, slice, sum10, SUBGROUP_COLUMNS);
  subgroupMatrixStore<row_major>(&tile_sums, slice + MATRIX_N, sum11, SUBGROUP_COLUMNS);
  if (MATRICES_N > 2u) {
    subgroupMatrixStore<row_major>(&tile_sums, slice + 2u * MATRIX_N, sum12, SUBGROUP_COLUMNS);
    subgroupMatrixStore<row_major>(&tile_sums, slice + 3u * MATRIX_N, sum13, SUBGROUP_COLUMNS);
  }
  workgroupBarrier();
  leave(slice, first_pixel + MATRIX_M, channel, lane);
  if (MATRICES_M > 2u) {
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile_sums, slice, sum20, SUBGROUP_COLUMNS);
    subgroupMatrixStore<row_major>(&tile_sums, slice + MATRIX_N, sum21, SUBGROUP_COLUMNS);
    if (MATRICES_N > 2u) {
      subgroupMatrixStore<row_major>(&tile_sums, slice + 2u * MATRIX_N, sum22, SUBGROUP_COLUMNS);
      subgroupMatrixStore<row_major>(&tile_sums, slice + 3u * MATRIX_N, sum23, SUBGROUP_COLUMNS);
    }
    workgroupBarrier();
    leave(slice, first_pixel + 2u * MATRIX_M, channel, lane);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(&tile_sums, slice, sum30, SUBGROUP_COLUMNS);
    subgroupMatrixStore<row_major>(&tile_sums, slice + MATRIX_N, sum31, SUBGROUP_COLUMNS);
    if (MATRICES_N > 2u) {
      subgroupMatrixStore<row_major>(&tile_sums, slice + 2u * MATRIX_N, sum32, SUBGROUP_COLUMNS);
      subgroupMatrixStore<row_major>(&tile_sums, slice + 3u * MATRIX_N, sum33, SUBGROUP_COLUMNS);
    }
    workgroupBarrier();
    leave(slice, first_pixel + 3u * MATRIX_M, channel, lane);
  }
}
