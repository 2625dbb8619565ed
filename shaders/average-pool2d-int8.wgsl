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

// The four channels of a word as integers.
fn channels(word: u32) -> vec4i {
  let at_top = vec4u(word) << vec4u(24u, 16u, 8u, 0u);
  return select(vec4i(at_top >> vec4u(24u)), bitcast<vec4i>(at_top) >> vec4u(24u), SIGNED == 1u);
}

fn round_half_to_even(sum: vec4i, cells: i32) -> vec4i {
  // Floor division first: the remainder is then 0..cells - 1 for negative sums too.
  let truncated = sum / cells;
  let floor = truncated - vec4i(sum - truncated * cells < vec4i(0));
  let twice = 2 * (sum - floor * cells);
  let up = (twice > vec4i(cells)) | ((twice == vec4i(cells)) & ((floor & vec4i(1)) == vec4i(1)));
  return floor + vec4i(up);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let word = index % params.channel_words;
  var pixel = index / params.channel_words;
  let left = i32((pixel % params.output_width) * params.stride_width) - i32(params.pad_left);
  pixel /= params.output_width;
  let top = i32((pixel % params.output_height) * params.stride_height) - i32(params.pad_top);
  let image = pixel / params.output_height;
  if (image >= params.batch) {
    return;
  }
  var sum = vec4i(0);
  var cells = 0u;
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = top + i32(ky * params.dilation_height);
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let x = left + i32(kx * params.dilation_width);
      if (y >= 0 && y < i32(params.height) && x >= 0 && x < i32(params.width)) {
        let at = ((image * params.height + u32(y)) * params.width + u32(x)) * params.channel_words + word;
        sum += channels(input[at]);
        cells++;
      } else if (y < i32(params.height + params.pad_bottom) && x < i32(params.width + params.pad_right)) {
        cells += params.include_pad;
        sum += vec4i(i32(params.include_pad) * params.zero_point);
      }
    }
  }
  var average = vec4i(params.zero_point);
  if (cells > 0u) {
    average = select(round_half_to_even(sum, i32(cells)), sum / i32(cells), ROUNDING == 1u);
  }
  let bytes = (vec4u(average) & vec4u(255u)) << vec4u(0u, 8u, 16u, 24u);
  output[index] = bytes.x | bytes.y | bytes.z | bytes.w;
}
