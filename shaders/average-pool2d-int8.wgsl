// Averages the 8-bit codes in each window of an NHWC tensor, in integers.
//
//   sum = sum over ky, kx of input[n, y * stride - pad_top + ky * dilation, x * ... + kx * ..., c]
//   output[n, y, x, c] = round(sum / cells)
//
// buffer  shape                                                dtype
// input   batch, height, width, channel_words                  u32; channel 4w in bits 0..7 of word w, 4w + 1 above it
// output  batch, output_height, output_width, channel_words    as the input
//
// cells counts the window's cells inside the image, or with include_pad 1 also those inside its padding (never those
// that ceil mode hangs over the padded edge), which hold zero_point, the code of 0. A window with no cell gives
// zero_point. The average of codes is the code of the average: scale and zero point pass through.
// One thread makes one output word: the same window of 4 channels. Neighbouring threads take neighbouring words of
// one pixel, so loads are coalesced; windows that overlap are served by the cache.
//
// Rounding: ROUNDING 0 rounds the exact quotient half to even; ROUNDING 1 truncates it toward zero, which is what
// averaging in float and casting to int8 does (MIT 6.5940 Lab 2). Both are exact on every adapter: |sum| fits i32 for
// windows up to 2^23 cells. SIGNED 1 averages int8 codes, 0 uint8 codes.

override WORKGROUP_SIZE: u32 = 64u;
override SIGNED: u32 = 1u;
override ROUNDING: u32 = 0u;

struct State {
  sum: vec4i,
  cells: u32,
}

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channel_words: u32,
  output_height: u32,
  output_width: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
  pad_bottom: u32,
  pad_right: u32,
  include_pad: u32,
  zero_point: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

fn round_half_to_even(sum: vec4i, cells: i32) -> vec4i {
  // Floor division first: the remainder is then 0..cells - 1 for negative sums too.
  let truncated = sum / cells;
  let floor = truncated - vec4i(sum - truncated * cells < vec4i(0));
  let twice = 2 * (sum - floor * cells);
  let up = (twice > vec4i(cells)) | ((twice == vec4i(cells)) & ((floor & vec4i(1)) == vec4i(1)));
  return floor + vec4i(up);
}

fn take(state: ptr<function, State>, at: u32) {
  state.sum += channels(input[at]);
  state.cells++;
}

fn take_outside(state: ptr<function, State>, y: i32, x: i32) {
  if (y < i32(params.height + params.pad_bottom) && x < i32(params.width + params.pad_right)) {
    state.cells += params.include_pad;
    state.sum += vec4i(i32(params.include_pad) * params.zero_point);
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let window = window_of(index, params.channel_words);
  if (window.image < params.batch) {
    let state = walk(window, params.channel_words, State());
    var average = vec4i(params.zero_point);
    if (state.cells > 0u) {
      let cells = i32(state.cells);
      average = select(round_half_to_even(state.sum, cells), state.sum / cells, ROUNDING == 1u);
    }
    output[index] = pack(average);
  }
}
