// Takes the largest 8-bit code in each window of an NHWC tensor.
//
//   output[n, y, x, c] = max over ky, kx of input[n, y * stride - pad_top + ky * dilation, x * ... + kx * ..., c]
//
// buffer  shape                                                dtype
// input   batch, height, width, channel_words                  u32; channel 4w in bits 0..7 of word w, 4w + 1 above it
// output  batch, output_height, output_width, channel_words    as the input
//
// One thread makes one output word: the same window of 4 channels. Neighbouring threads take neighbouring words of
// one pixel, so loads are coalesced; windows that overlap are served by the cache.
// SIGNED 1 compares int8 codes, 0 uint8 codes. Quantization is monotone, so the maximum of the codes is the code of
// the maximum: scale and zero point pass through, and there is no rounding.
//
// Cells outside the image never win. A window with no cell inside gives the lowest code. Channels that pad the last
// word come out as they came in. The host chooses output_height and output_width, so floor and ceil mode both work.

override WORKGROUP_SIZE: u32 = 64u;
override SIGNED: u32 = 1u;
alias State = vec4i;

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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

fn take(largest: ptr<function, vec4i>, at: u32) {
  *largest = max(*largest, channels(input[at]));
}

fn take_outside(largest: ptr<function, vec4i>, y: i32, x: i32) {}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let window = window_of(index, params.channel_words);
  if (window.image < params.batch) {
    let lowest = select(vec4i(0), vec4i(-128), SIGNED == 1u);
    output[index] = pack(walk(window, params.channel_words, lowest));
  }
}
