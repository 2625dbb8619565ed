// The frame of the depthwise convolutions: which four pixels of one vector a thread makes, and their sums. Needs of the
// kernel: alias Cells, a vector of four channels; fn find_row(strip, y) -> Row, fn load_input(row, x) -> Cells, which
// knows the padding, and fn load_filter(at) -> Cells; params of lib/conv-params.wgsl or lib/conv-int8-params.wgsl.
//
// The four pixels are neighbours in a row or, with a pool, one 2x2 window. Where stride and dilation along a row are 1, a
// tap's columns are the tap before's moved by one: each is loaded once, 9 loads for 12 products of a 3x3 filter's row
// where there would be 15. Four sums by name stay in registers on every adapter. lavapipe, which loads lane by lane,
// takes half the time of one pixel a thread so, and no more with the choice of the loop left to run time.
//
// With MULTIPLIER m, output channel o has input channel o / m. Input channel 4k begins at output channel 4km, so the
// four of an output vector v are all in input vector v / m.

const MULTIPLIER: u32 = 1u;

struct Strip {
  vector: u32,
  image: u32,
  y: u32,
  x: u32,
}

struct Sums {
  s0: Cells,
  s1: Cells,
  s2: Cells,
  s3: Cells,
}

/// Strips of all pixels: they don't reach over the end of a row.
fn strip_count() -> u32 {
  if (params.pool == 1u) {
    return params.pixel_count / 4u;
  }
  return params.pixel_count / params.output_width * ((params.output_width + 3u) / 4u);
}

/// Threads that follow one another take one strip's vectors: neighbours read neighbouring words.
fn strip_of(thread: u32, vectors: u32) -> Strip {
  let columns = select((params.output_width + 3u) / 4u, params.output_width / 2u, params.pool == 1u);
  let rows = params.output_height >> params.pool;
  // Remainders by subtraction: lavapipe divides lane by lane.
  let strip = thread / vectors;
  let row = strip / columns;
  let image = row / rows;
  let width = select(4u, 2u, params.pool == 1u);
  return Strip(thread - strip * vectors, image, (row - image * rows) << params.pool, (strip - row * columns) * width);
}

/// A row of the input as a strip sees it: where the strip's vector of its first pixel is, and how many pixels it has:
/// none, where the row is outside.
struct Row {
  base: u32,
  width: u32,
}

fn row_of(strip: Strip, y: i32, vectors: u32) -> Row {
  let base = (strip.image * params.input_height + u32(y)) * params.input_width * vectors + strip.vector / MULTIPLIER;
  return Row(base, select(0u, params.input_width, u32(y) < params.input_height));
}

/// The input channels of an output vector's four.
fn spread(cells: Cells, vector: u32) -> Cells {
  if (MULTIPLIER == 1u) {
    return cells;
  }
  let lane = (vector % MULTIPLIER * 4u + vec4u(0u, 1u, 2u, 3u)) / MULTIPLIER;
  return Cells(cells[lane.x], cells[lane.y], cells[lane.z], cells[lane.w]);
}

fn load(row: Row, x: i32, vector: u32) -> Cells {
  return spread(load_input(row, x), vector);
}

fn convolve(strip: Strip) -> Sums {
  let top = i32(strip.y * params.stride_height) - i32(params.pad_top);
  let left = i32(strip.x * params.stride_width) - i32(params.pad_left);
  let down = i32(params.stride_height);
  let right = i32(params.stride_width);
  let slides = params.pool == 0u && params.stride_width == 1u && params.dilation_width == 1u;
  var at = strip.vector / 4u * params.kernel_height * params.kernel_width * 4u + strip.vector % 4u;
  var sums = Sums();
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = top + i32(ky * params.dilation_height);
    let row = find_row(strip, y);
    if (slides) {
      var a0 = load(row, left, strip.vector);
      var a1 = load(row, left + 1, strip.vector);
      var a2 = load(row, left + 2, strip.vector);
      for (var kx = 0u; kx < params.kernel_width; kx++) {
        let a3 = load(row, left + 3 + i32(kx), strip.vector);
        let w = load_filter(at);
        at += 4u;
        sums.s0 += a0 * w;
        sums.s1 += a1 * w;
        sums.s2 += a2 * w;
        sums.s3 += a3 * w;
        a0 = a1;
        a1 = a2;
        a2 = a3;
      }
    } else {
      let below = find_row(strip, select(y, y + down, params.pool == 1u));
      let third = select(2 * right, 0, params.pool == 1u);
      for (var kx = 0u; kx < params.kernel_width; kx++) {
        let x = left + i32(kx * params.dilation_width);
        let w = load_filter(at);
        at += 4u;
        sums.s0 += load(row, x, strip.vector) * w;
        sums.s1 += load(row, x + right, strip.vector) * w;
        sums.s2 += load(below, x + third, strip.vector) * w;
        sums.s3 += load(below, x + third + right, strip.vector) * w;
      }
    }
  }
  return sums;
}
