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

// The four channels of a word as integers.
fn channels(word: u32) -> vec4i {
  let at_top = vec4u(word) << vec4u(24u, 16u, 8u, 0u);
  return select(vec4i(at_top >> vec4u(24u)), bitcast<vec4i>(at_top) >> vec4u(24u), SIGNED == 1u);
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
  var largest = select(vec4i(0), vec4i(-128), SIGNED == 1u);
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = top + i32(ky * params.dilation_height);
    if (y < 0 || y >= i32(params.height)) {
      continue;
    }
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let x = left + i32(kx * params.dilation_width);
      if (x < 0 || x >= i32(params.width)) {
        continue;
      }
      let at = ((image * params.height + u32(y)) * params.width + u32(x)) * params.channel_words + word;
      largest = max(largest, channels(input[at]));
    }
  }
  let bytes = (vec4u(largest) & vec4u(255u)) << vec4u(0u, 8u, 16u, 24u);
  output[index] = bytes.x | bytes.y | bytes.z | bytes.w;
}
