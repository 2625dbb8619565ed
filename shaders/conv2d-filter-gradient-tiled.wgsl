// Gradient of an f32 convolution by its weights for GPUs, staged in workgroup memory: what conv2d-filter-gradient
// computes, in the same split sums and the same order of elements.
//
//   partial[s, o, ky, kx, c] = sum over pixels p of split s of gradient[p, o] * input[p * stride + (ky, kx) * dilation - pad, c]
//   weight_gradient = sum over s of partial[s], by sum-splits, in order: the same bits in every run
//
// buffer    shape                                       dtype
// input     batch, height, width, input_vectors         vec4f, padded lanes zero
// gradient  batch, out_height, out_width, out_vectors   vec4f, padded lanes zero
// partial   split, tile, ky, kx, channel, 4             vec4f: sixteen output channels a tile
//
// An implicit GEMM: rows are vectors of four input channels under each tap, ky, kx, c, so that a few channels still fill
// a tile; columns are vectors of four output channels; the inner dimension is the batch's pixels, of which split s takes
// s * chunk to (s + 1) * chunk. One workgroup computes TILE_ROWS x 4 by TILE_COLUMNS x 4 sums, one thread THREAD_ROWS
// x 4 by THREAD_COLUMNS x 4 of them in registers, spread over the tile so that a warp reads one row vector (broadcast)
// and neighbouring column vectors. TILE_PIXELS pixels are staged a step, while the next step's are on their way: channels
// lie side by side in memory as in the tile, so nothing is transposed.
//
// Workgroup memory: two buffers of TILE_PIXELS * (TILE_ROWS + TILE_COLUMNS) * 16 bytes: 128 x 128 channels by 8 pixels
// take 16 KB, which every adapter has, as it has the 256 threads. A thread stages one pixel a step, whose coordinates it counts on instead of dividing.
//
// Rows and columns past the last, pixels past the split's and taps in the padding are staged as zeros, so padded
// elements come out zero. Sums run over pixels in order. One group only.

const TILE_ROWS: u32 = 16u;
const TILE_COLUMNS: u32 = 16u;
const TILE_PIXELS: u32 = 8u;
const THREAD_ROWS: u32 = 2u;
const THREAD_COLUMNS: u32 = 2u;

const ROW_THREADS: u32 = TILE_ROWS / THREAD_ROWS;
const COLUMN_THREADS: u32 = TILE_COLUMNS / THREAD_COLUMNS;
const THREADS: u32 = ROW_THREADS * COLUMN_THREADS;
// Threads that stage one pixel between them, and what each stages of it.
const PIXEL_THREADS: u32 = THREADS / TILE_PIXELS;
const STAGE_ROWS: u32 = TILE_ROWS / PIXEL_THREADS;
const STAGE_COLUMNS: u32 = TILE_COLUMNS / PIXEL_THREADS;
const SUMS: u32 = THREAD_ROWS * 4u * THREAD_COLUMNS;

var<workgroup> tile_rows: array<vec4f, 2u * TILE_PIXELS * TILE_ROWS>;
var<workgroup> tile_columns: array<vec4f, 2u * TILE_PIXELS * TILE_COLUMNS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) thread: u32) {
  let row_count = params.kernel_height * params.kernel_width * params.input_vectors;
  let row_tiles = (row_count + TILE_ROWS - 1u) / TILE_ROWS;
  let column_tiles = (params.output_vectors + TILE_COLUMNS - 1u) / TILE_COLUMNS;
  // Splits vary slowest: workgroups that run together read the same pixels.
  let linear = workgroup.x + workgroup.y * count.x;
  let first_column = (linear % column_tiles) * TILE_COLUMNS;
  let first_row = ((linear / column_tiles) % row_tiles) * TILE_ROWS;
  let split = linear / (column_tiles * row_tiles);
  let begin = split * params.chunk;
  if (begin >= params.pixel_count) {
    return;
  }
  let end = begin + min(params.chunk, params.pixel_count - begin);
  let steps = (end - begin + TILE_PIXELS - 1u) / TILE_PIXELS;

  // Where this thread's rows lie beside a window's first cell, and in a pixel.
  let stage_pixel = thread / PIXEL_THREADS;
  let stage_lane = thread % PIXEL_THREADS;
  var down: array<i32, STAGE_ROWS>;
  var right: array<i32, STAGE_ROWS>;
  var vectors: array<u32, STAGE_ROWS>;
  for (var i = 0u; i < STAGE_ROWS; i++) {
    let row = first_row + stage_lane + i * PIXEL_THREADS;
    let tap = row / params.input_vectors;
    let ky = tap / params.kernel_width;
    down[i] = i32(ky * params.dilation_height) - i32(params.pad_top);
    right[i] = i32((tap - ky * params.kernel_width) * params.dilation_width) - i32(params.pad_left);
    vectors[i] = row - tap * params.input_vectors;
  }
  // A step in digits of image, y, x: adding it carries once a digit.
  let plane = params.output_width * params.output_height;
  let step_x = TILE_PIXELS % params.output_width;
  let step_y = (TILE_PIXELS / params.output_width) % params.output_height;
  let step_image = TILE_PIXELS / plane;
  var pixel = begin + stage_pixel;
  var x = pixel % params.output_width;
  var y = (pixel / params.output_width) % params.output_height;
  var image = pixel / plane;

  var next_rows: array<vec4f, STAGE_ROWS>;
  var next_columns: array<vec4f, STAGE_COLUMNS>;
  let row = thread / COLUMN_THREADS;
  let column = thread % COLUMN_THREADS;
  var sums: array<vec4f, SUMS>;

  // One turn more than there are steps: loading runs a step ahead of multiplying.
  for (var step = 0u; ; step++) {
    if (step < steps) {
      let within = pixel < end;
      let top = i32(y * params.stride_height);
      let left = i32(x * params.stride_width);
      for (var i = 0u; i < STAGE_ROWS; i++) {
        let cell_y = top + down[i];
        let cell_x = left + right[i];
        let inside = within && first_row + stage_lane + i * PIXEL_THREADS < row_count && cell_y >= 0 && cell_x >= 0
          && cell_y < i32(params.input_height) && cell_x < i32(params.input_width);
        let cell = (image * params.input_height + u32(cell_y)) * params.input_width + u32(cell_x);
        let at = select(0u, cell * params.input_vectors + vectors[i], inside);
        next_rows[i] = select(vec4f(), input[at], inside);
      }
      for (var i = 0u; i < STAGE_COLUMNS; i++) {
        let vector = first_column + stage_lane + i * PIXEL_THREADS;
        let inside = within && vector < params.output_vectors;
        let at = select(0u, pixel * params.output_vectors + vector, inside);
        next_columns[i] = select(vec4f(), gradient[at], inside);
      }
      pixel += TILE_PIXELS;
      x += step_x;
      y += step_y;
      image += step_image;
      if (x >= params.output_width) {
        x -= params.output_width;
        y++;
      }
      if (y >= params.output_height) {
        y -= params.output_height;
        image++;
      }
    }
    if (step > 0u) {
      let slot = ((step - 1u) % 2u) * TILE_PIXELS;
      for (var k = slot; k < slot + TILE_PIXELS; k++) {
        var b: array<vec4f, THREAD_COLUMNS>;
        for (var v = 0u; v < THREAD_COLUMNS; v++) {
          b[v] = tile_columns[k * TILE_COLUMNS + column + v * COLUMN_THREADS];
        }
        for (var q = 0u; q < THREAD_ROWS; q++) {
          let a = tile_rows[k * TILE_ROWS + row + q * ROW_THREADS];
          for (var r = 0u; r < 4u; r++) {
            for (var v = 0u; v < THREAD_COLUMNS; v++) {
              let sum = (q * 4u + r) * THREAD_COLUMNS + v;
              sums[sum] = fma(vec4f(a[r]), b[v], sums[sum]);
            }
          }
        }
      }
    }
    if (step >= steps) {
      break;
    }
    // This buffer was last read two turns ago, before the barrier of the turn between.
    let slot = (step % 2u) * TILE_PIXELS + stage_pixel;
    for (var i = 0u; i < STAGE_ROWS; i++) {
      tile_rows[slot * TILE_ROWS + stage_lane + i * PIXEL_THREADS] = next_rows[i];
    }
    for (var i = 0u; i < STAGE_COLUMNS; i++) {
      tile_columns[slot * TILE_COLUMNS + stage_lane + i * PIXEL_THREADS] = next_columns[i];
    }
    workgroupBarrier();
  }

  let weight_tiles = (params.output_vectors + 3u) / 4u;
  for (var q = 0u; q < THREAD_ROWS; q++) {
    let vector = first_row + row + q * ROW_THREADS;
    for (var v = 0u; v < THREAD_COLUMNS; v++) {
      let output = first_column + column + v * COLUMN_THREADS;
      // Vectors that only pad a weight tile are written too: sum-splits reads them.
      if (vector >= row_count || output >= weight_tiles * 4u) {
        continue;
      }
      let base = ((split * weight_tiles + output / 4u) * row_count + vector) * 16u + output % 4u;
      for (var r = 0u; r < 4u; r++) {
        partial[base + r * 4u] = sums[(q * 4u + r) * THREAD_COLUMNS + v];
      }
    }
  }
}
