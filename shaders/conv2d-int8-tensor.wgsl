// int8 convolution on tensor cores: an implicit GEMM of subgroup matrices, i8 operands and i32 sums, epilogue fused.
//
//   acc[p, o] = bias[o] + sum_k patch[p, k] * weight[k, o]      k = (ky, kx, word): 4 channels of one tap a word
//   out[p, o] = requantize(max over the pool window of acc)      as conv2d-int8-tiled, bit for bit
//
// A matrix product is the convolution of M images of one pixel with a 1x1 kernel, and runs here as such.
//
// buffer      shape                                         dtype
// input       batch, height, width, input_words             4 int8 channels a u32, channel 4w at bits 0..7 of word w
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
// Edges: a matrix load outside its array answers other elements, not zeros, so every operand comes from workgroup
// memory, where tiles are always whole: k past the end has weights 0, padding is params.pad_word, pixels past the last
// are pixel 0 and are not stored. A row's stride has 16 bytes of padding against bank conflicts; offsets and strides
// stay multiples of 16 bytes, which Vulkan demands.
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
const WORD_RUN: u32 = 1u;
const POOL: u32 = 0u;
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
@group(0) @binding(1) var<storage, read> input: array<u32>;
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
  let kernel_words = params.kernel_height * params.kernel_width * params.group_words;
  let steps = (kernel_words + STEP_VECTORS * 4u - 1u) / (STEP_VECTORS * 4u);
  let group_word = (tile / params.group_tiles) * params.group_words;

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
  var total: array<Sums, MATRICES_M * MATRICES_N>;

  // One turn more than there are steps: loading runs a step ahead of multiplying.
  for (var step = 0u; ; step++) {
    if (step < steps) {
      for (var w = 0u; w < 4u; w += WORD_RUN) {
        let k = min((step * STEP_VECTORS + stage_vector) * 4u + w, kernel_words - WORD_RUN);
        let tap = k / params.group_words;
        let word = group_word + k - tap * params.group_words;
        for (var r = 0u; r < STAGE_ROWS; r++) {
          let pixel = tap_pixel(pixels[r], tap);
          let at = select(pixel * params.input_words + word, 0u, pixel == OUTSIDE);
          for (var i = 0u; i < WORD_RUN; i++) {
            next_input[r][w + i] = select(input[at + i], params.pad_word, pixel == OUTSIDE);
          }
        }
      }
      for (var i = 0u; i < STAGE_WEIGHTS; i++) {
        next_weights[i] = weights[(tile * steps + step) * TILE_CHANNELS * STEP_VECTORS + thread + i * THREADS];
      }
    }
    if (step > 0u) {
      for (var k = 0u; k < STEP_VECTORS; k += MATRIX_K / 16u) {
        var left: array<Left, MATRICES_M>;
        for (var m = 0u; m < MATRICES_M; m++) {
          let at = (first_row + m * MATRIX_M) * STRIDE + k;
          left[m] = subgroupMatrixLoad<Left, row_major>(&tile_input, at * UNITS, STRIDE * UNITS);
        }
        for (var n = 0u; n < MATRICES_N; n++) {
          let at = (first_column + n * MATRIX_N) * STRIDE + k;
          let right = subgroupMatrixLoad<Right, col_major>(&tile_weights, at * UNITS, STRIDE * UNITS);
          for (var m = 0u; m < MATRICES_M; m++) {
            let sum = m * MATRICES_N + n;
            total[sum] = subgroupMatrixMultiplyAccumulate(left[m], right, total[sum]);
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
  for (var m = 0u; m < MATRICES_M; m++) {
    workgroupBarrier();
    for (var n = 0u; n < MATRICES_N; n++) {
      subgroupMatrixStore<row_major>(&tile_sums, slice + n * MATRIX_N, total[m * MATRICES_N + n], SUBGROUP_COLUMNS);
    }
    workgroupBarrier();
    for (var item = lane; item < MATRIX_M * SUBGROUP_COLUMNS / 16u; item += SUBGROUP_SIZE) {
      let column = (item % (SUBGROUP_COLUMNS / 4u)) * 4u;
      let row = (item / (SUBGROUP_COLUMNS / 4u)) * 4u;
      let pixel = block * TILE_PIXELS + first_row + m * MATRIX_M + row;
      let vector = (tile * TILE_CHANNELS + first_column + column) / 4u;
      let at = slice + row * SUBGROUP_COLUMNS + column;
      if (POOL == 1u) {
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
}
