// int8 convolution for GPUs: an implicit GEMM whose tiles are staged in workgroup memory, epilogue fused.
//
//   acc[p, o] = bias[o] + sum_k patch[p, k] * weight[k, o]      k = (ky, kx, word): 4 channels of one tap a word
//   out[p, o] = requantize(max over the pool window of acc)      as conv2d-int8, bit for bit
//
// A matrix product is the convolution of M images of one pixel with a 1x1 kernel, and runs here as such.
// With SPLIT, workgroup s of `splits` sums only its share of k and stores the raw sums; sum-splits-int8 adds them and
// does the epilogue. Integer sums are exact in any order, so the result does not depend on `splits`.
//
// buffer      shape                                   dtype
// input       batch, height, width, input_words       4 int8 channels a u32, channel 4w at bits 0..7 of word w
// weights     tile, ky, kx, word, TILE_VECTORS x 4    WEIGHT_BITS codes, 4 channels a lane (lib/packed-weights.wgsl)
// bias        tile x TILE_VECTORS                     vec4i
// multipliers tile x TILE_VECTORS x 4                 vec2u a channel (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      batch, out_height, out_width, words     as the input (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2);
//             splits, pixel, tile x TILE_VECTORS x 4  i32 sums with SPLIT
//
// One workgroup computes TILE_PIXELS pixels x TILE_VECTORS x 4 channels, one thread THREAD_PIXELS x THREAD_VECTORS x 4
// of them in registers, as pixel quads (whole pool windows) and channel vectors spread over the tile, so that a warp
// reads one input vector (broadcast) and neighbouring weight vectors (no bank twice). TILE_WORDS words of k are staged
// a step; while they are multiplied, the next step's are already on their way from memory into registers.
//
// Workgroup memory: BUFFERS * TILE_WORDS * (TILE_PIXELS + 4 + TILE_VECTORS * 4) words: 64 x 64 x 16 takes 8.4 KB, which
// every adapter has; 128 x 128 x 16 takes 16.6 KB. With BUFFERS 2 a step needs one barrier instead of two.
//
// Edges: words past the end of k are staged as 0, so what they are multiplied with does not matter; padding is
// params.pad_word (the input's zero point); pixels past the last compute pixel 0 again and store nothing.
// WORD_RUN promises that this many consecutive words belong to one tap: group_words must be a multiple of it.

const TILE_WORDS: u32 = 16u;
const TILE_ROWS: u32 = TILE_WORDS;
const WORD_RUN: u32 = 1u;
const OUTPUT: u32 = 0u;
const SPLIT: u32 = 0u;
alias Loaded = u32;
alias Row = vec4u;

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
  pool: u32,
  pad_word: u32,
  zero_point: i32,
  low: i32,
  high: i32,
  splits: u32,
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32) {
  // Channels vary fastest: workgroups that run together read the same pixels.
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear % params.tile_count;
  let blocks = (params.pixel_count + TILE_PIXELS - 1u) / TILE_PIXELS;
  let block = (linear / params.tile_count) % blocks;
  let split = linear / (params.tile_count * blocks);
  if (split >= params.splits) {
    return;
  }
  let kernel_words = params.kernel_height * params.kernel_width * params.group_words;
  let steps = (kernel_words + TILE_WORDS - 1u) / TILE_WORDS;
  let share = (steps + params.splits - 1u) / params.splits;
  let first = min(split * share, steps);
  let last = min(first + share, steps);
  let group_word = (tile / params.group_tiles) * params.group_words;

  let stage_quad = thread / STAGE_COLUMNS;
  let stage_column = (thread % STAGE_COLUMNS) * STAGE_WORDS;
  var pixels = staged_pixels(block, stage_quad);
  var next_input: array<vec4u, STAGE_WORDS>;
  var next_weights: array<vec4u, STAGE_VECTORS>;
  let row = thread / COLUMN_THREADS;
  let column = thread % COLUMN_THREADS;
  var total: array<vec4i, SUMS>;

  // One turn more than there are steps: loading runs a step ahead of multiplying.
  for (var step = first; ; step++) {
    if (step < last) {
      for (var w = 0u; w < STAGE_WORDS; w += WORD_RUN) {
        let k = step * TILE_WORDS + stage_column + w;
        let tap = k / params.group_words;
        let word = group_word + k - tap * params.group_words;
        for (var r = 0u; r < 4u; r++) {
          let pixel = tap_pixel(pixels[r], tap);
          let at = select(pixel * params.input_words + word, 0u, pixel == OUTSIDE || k >= kernel_words);
          for (var i = 0u; i < WORD_RUN; i++) {
            let value = select(input[at + i], params.pad_word, pixel == OUTSIDE);
            next_input[w + i][r] = select(0u, value, k < kernel_words);
          }
        }
      }
      for (var i = 0u; i < STAGE_VECTORS; i++) {
        let vector = thread + i * THREADS;
        let k = min(step * TILE_WORDS + vector / TILE_VECTORS, kernel_words - 1u);
        next_weights[i] = load_weights((tile * kernel_words + k) * TILE_VECTORS + vector % TILE_VECTORS);
      }
    }
    if (step > first) {
      let slot = ((step - 1u) % BUFFERS) * TILE_WORDS;
      for (var k = slot; k < slot + TILE_WORDS; k++) {
        var b: array<vec4u, THREAD_VECTORS>;
        for (var v = 0u; v < THREAD_VECTORS; v++) {
          b[v] = tile_weights[k * TILE_VECTORS + column + v * COLUMN_THREADS];
        }
        for (var q = 0u; q < THREAD_QUADS; q++) {
          let a = tile_input[k * QUAD_STRIDE + row + q * ROW_THREADS];
          for (var r = 0u; r < 4u; r++) {
            for (var v = 0u; v < THREAD_VECTORS; v++) {
              total[(q * 4u + r) * THREAD_VECTORS + v] += dot_int(a[r], b[v]);
            }
          }
        }
      }
    }
    if (step >= last) {
      break;
    }
    // A second buffer was last read two turns ago, before the barrier of the turn between.
    if (BUFFERS == 1u) {
      workgroupBarrier();
    }
    let slot = (step % BUFFERS) * TILE_WORDS;
    for (var w = 0u; w < STAGE_WORDS; w++) {
      tile_input[(slot + stage_column + w) * QUAD_STRIDE + stage_quad] = next_input[w];
    }
    for (var i = 0u; i < STAGE_VECTORS; i++) {
      tile_weights[slot * TILE_VECTORS + thread + i * THREADS] = next_weights[i];
    }
    workgroupBarrier();
  }

  for (var q = 0u; q < THREAD_QUADS; q++) {
    let quad = block * TILE_PIXELS + (row + q * ROW_THREADS) * 4u;
    for (var v = 0u; v < THREAD_VECTORS; v++) {
      let vector = tile * TILE_VECTORS + column + v * COLUMN_THREADS;
      for (var r = 0u; r < 4u; r++) {
        let sum = unscale(total[(q * 4u + r) * THREAD_VECTORS + v]);
        total[(q * 4u + r) * THREAD_VECTORS + v] = sum;
        if (quad + r >= params.pixel_count) {
          continue;
        }
        if (SPLIT == 1u) {
          let vectors = params.tile_count * TILE_VECTORS;
          let at = ((split * params.pixel_count + quad + r) * vectors + vector) * 4u;
          for (var lane = 0u; lane < 4u; lane++) {
            output[at + lane] = bitcast<u32>(sum[lane]);
          }
        } else if (params.pool == 0u) {
          store(quad + r, vector, sum + bias[vector]);
        }
      }
      if (SPLIT == 0u && params.pool == 1u && quad < params.pixel_count) {
        let at = q * 4u * THREAD_VECTORS + v;
        let top = max(total[at], total[at + THREAD_VECTORS]);
        let bottom = max(total[at + 2u * THREAD_VECTORS], total[at + 3u * THREAD_VECTORS]);
        store(quad / 4u, vector, max(top, bottom) + bias[vector]);
      }
    }
  }
}
