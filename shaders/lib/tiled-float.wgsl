// The body of the float convolutions for GPUs: an implicit GEMM whose tiles are staged in workgroup memory, with the
// affine epilogue, clamp and 2x2 max-pool of conv2d. Needs lib/staged-tile.wgsl, lib/keep-nan.wgsl and of the kernel:
// alias Real (f32 or f16), const CHUNKED, the bindings params, input, scale, shift (vec4f) and output, and
//
//   fn prepare_weights(thread: u32)                  called once by every thread, ends with a barrier if it needs one
//   fn weight_vector(vector: u32) -> vec4<Real>      four output channels: [tile][ky][kx][channel][TILE_VECTORS]
//
// TILE_WORDS vectors of four input channels are staged a step, while the next step's are on their way.
//
// Workgroup memory: BUFFERS * 4 * TILE_WORDS * (TILE_PIXELS + 4 + TILE_VECTORS * 4) Reals: 64 x 64 x 4 takes 8.4 KB in
// f32, which every adapter has; 128 x 128 x 8 takes 33 KB.
//
// CHUNKED 1 sums a step's products in Real and moves them to f32 before the next: at most 4 * TILE_WORDS roundings of an
// f16 sum. Sums run over ky, kx, c in this order on every adapter, but WGSL leaves rounding open: results agree within
// tolerance, not bits. Vectors past the end of k and padding are staged as zeros; pixels past the last are pixel 0 and
// are not stored. Scaling comes before pooling because a negative scale turns maxima into minima.

const TILE_WORDS: u32 = 4u;
const TILE_ROWS: u32 = TILE_WORDS * 4u;

alias Real4 = vec4<Real>;
alias Row = Real4;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32) {
  // Channels vary fastest: workgroups that run together read the same pixels.
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear % params.tile_count;
  let block = linear / params.tile_count;
  if (block * TILE_PIXELS >= params.pixel_count) {
    return;
  }
  prepare_weights(thread);
  let kernel_vectors = params.kernel_height * params.kernel_width * params.group_vectors;
  let steps = (kernel_vectors + TILE_WORDS - 1u) / TILE_WORDS;
  let group_vector = (tile / params.group_tiles) * params.group_vectors;

  let stage_quad = thread / STAGE_COLUMNS;
  let stage_column = (thread % STAGE_COLUMNS) * STAGE_WORDS;
  var pixels = staged_pixels(block, stage_quad);
  var next_input: array<mat4x4<Real>, STAGE_WORDS>;
  var next_weights: array<Real4, STAGE_VECTORS>;
  let row = thread / COLUMN_THREADS;
  let column = thread % COLUMN_THREADS;
  var part: array<Real4, SUMS>;
  var total: array<vec4f, SUMS>;

  // One turn more than there are steps: loading runs a step ahead of multiplying.
  for (var step = 0u; ; step++) {
    if (step < steps) {
      for (var w = 0u; w < STAGE_WORDS; w++) {
        let k = step * TILE_WORDS + stage_column + w;
        let tap = k / params.group_vectors;
        let vector = group_vector + k - tap * params.group_vectors;
        for (var r = 0u; r < 4u; r++) {
          let pixel = tap_pixel(pixels[r], tap);
          let inside = pixel != OUTSIDE && k < kernel_vectors;
          let at = select(0u, pixel * params.input_vectors + vector, inside);
          next_input[w][r] = Real4(select(vec4f(), input[at], inside));
        }
      }
      for (var i = 0u; i < STAGE_VECTORS; i++) {
        let vector = thread + i * THREADS;
        let k = min(step * TILE_ROWS + vector / TILE_VECTORS, kernel_vectors * 4u - 1u);
        next_weights[i] = weight_vector((tile * kernel_vectors * 4u + k) * TILE_VECTORS + vector % TILE_VECTORS);
      }
    }
    if (step > 0u) {
      let slot = ((step - 1u) % BUFFERS) * TILE_ROWS;
      for (var k = slot; k < slot + TILE_ROWS; k++) {
        var b: array<Real4, THREAD_VECTORS>;
        for (var v = 0u; v < THREAD_VECTORS; v++) {
          b[v] = tile_weights[k * TILE_VECTORS + column + v * COLUMN_THREADS];
        }
        for (var q = 0u; q < THREAD_QUADS; q++) {
          let a = tile_input[k * QUAD_STRIDE + row + q * ROW_THREADS];
          for (var r = 0u; r < 4u; r++) {
            for (var v = 0u; v < THREAD_VECTORS; v++) {
              let sum = (q * 4u + r) * THREAD_VECTORS + v;
              part[sum] = fma(Real4(a[r]), b[v], part[sum]);
            }
          }
        }
      }
      if (CHUNKED == 1u) {
        for (var i = 0u; i < SUMS; i++) {
          total[i] += vec4f(part[i]);
          part[i] = Real4();
        }
      }
    }
    if (step >= steps) {
      break;
    }
    // A second buffer was last read two turns ago, before the barrier of the turn between.
    if (BUFFERS == 1u) {
      workgroupBarrier();
    }
    let slot = (step % BUFFERS) * TILE_ROWS;
    for (var w = 0u; w < STAGE_WORDS; w++) {
      let by_channel = transpose(next_input[w]);
      for (var lane = 0u; lane < 4u; lane++) {
        tile_input[(slot + (stage_column + w) * 4u + lane) * QUAD_STRIDE + stage_quad] = by_channel[lane];
      }
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
      if (vector >= params.output_vectors) {
        continue;
      }
      var best = vec4f();
      for (var r = 0u; r < 4u; r++) {
        let index = (q * 4u + r) * THREAD_VECTORS + v;
        var sum = total[index];
        if (CHUNKED == 0u) {
          sum = vec4f(part[index]);
        }
        let value = clamp_or_nan(sum * scale[vector] + shift[vector], params.low, params.high);
        best = select(max_or_nan(best, value), value, r == 0u);
        if (params.pool == 0u && quad + r < params.pixel_count) {
          output[(quad + r) * params.output_vectors + vector] = value;
        }
      }
      if (params.pool == 1u && quad < params.pixel_count) {
        output[(quad / 4u) * params.output_vectors + vector] = best;
      }
    }
  }
}
