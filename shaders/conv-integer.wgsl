// ONNX ConvInteger and QLinearConv for every attribute: 1 to 3 spatial dimensions, groups, any zero points.
//
//   acc[n, m, o] = bias[m] + sum_{c, k} (input[n, c, o * stride + k * dilation - pad] - input_zero)
//                                     * (weights[m, c, k] - weight_zero[m])             modulo 2^32
//   output = acc, or requantize(acc, multipliers[m], zero_point, low, high)   (lib/requantize.wgsl)
//
// buffer        shape                          dtype and packing
// input         n, channels, d, h, w           int8 or uint8, four a word, element i in bits 8 * (i % 4) .. + 7
// weights       m, channels / groups, d, h, w  as the input
// weight_zeros  1 or m                         i32
// bias          1 or m                         i32
// multipliers   1 or m                         vec2u
// output        n, m, d, h, w                  OUTPUT 0: i32; OUTPUT 1: codes, four a word
//
// An int8 byte v is read as (v ^ 0x80) - 128, so `*_flip` is 0x80 for int8 and 0 for uint8, and the zero points
// that arrive here are already 128 larger for int8: one code path for all four type combinations.
//
// One thread writes one output word: one accumulator, or four neighbouring codes. No workgroup memory.
// This is the path that is right for everything; shaders/conv2d-int8.wgsl is the fast one for models.
//
// Edge cases: taps in the padding contribute a real zero, so they are skipped; the last word's missing codes are
// zeros; accumulators wrap modulo 2^32 as int32 does in ONNX Runtime. Rounding is the rule's.

override WORKGROUP_SIZE: u32 = 64u;
const OUTPUT: u32 = 0u;

struct Params {
  count: u32,
  channels: u32,
  input_depth: u32,
  input_height: u32,
  input_width: u32,
  output_channels: u32,
  output_depth: u32,
  output_height: u32,
  output_width: u32,
  group_channels: u32,
  group_outputs: u32,
  kernel_depth: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_depth: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_depth: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_depth: u32,
  pad_height: u32,
  pad_width: u32,
  input_flip: u32,
  weight_flip: u32,
  input_zero: i32,
  weight_zero_stride: u32,
  bias_stride: u32,
  multiplier_stride: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> weight_zeros: array<i32>;
@group(0) @binding(4) var<storage, read> bias: array<i32>;
@group(0) @binding(5) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(6) var<storage, read_write> output: array<u32>;

fn input_byte(index: u32) -> i32 {
  return i32(((input[index >> 2u] >> (8u * (index & 3u))) & 0xffu) ^ params.input_flip) - params.input_zero;
}

fn weight_byte(index: u32) -> i32 {
  return i32(((weights[index >> 2u] >> (8u * (index & 3u))) & 0xffu) ^ params.weight_flip);
}

fn output_channel(index: u32) -> u32 {
  return (index / (params.output_width * params.output_height * params.output_depth)) % params.output_channels;
}

fn accumulate(index: u32) -> i32 {
  let channel = output_channel(index);
  let first_x = i32((index % params.output_width) * params.stride_width) - i32(params.pad_width);
  let row = index / params.output_width;
  let first_y = i32((row % params.output_height) * params.stride_height) - i32(params.pad_height);
  let plane = row / params.output_height;
  let first_z = i32((plane % params.output_depth) * params.stride_depth) - i32(params.pad_depth);
  let image = plane / params.output_depth / params.output_channels;
  let weight_zero = weight_zeros[channel * params.weight_zero_stride];
  let first_channel = image * params.channels + channel / params.group_outputs * params.group_channels;

  var sum = bias[channel * params.bias_stride];
  var tap = channel * params.group_channels * params.kernel_depth * params.kernel_height * params.kernel_width;
  for (var c = 0u; c < params.group_channels; c++) {
    for (var kz = 0u; kz < params.kernel_depth; kz++) {
      let z = first_z + i32(kz * params.dilation_depth);
      for (var ky = 0u; ky < params.kernel_height; ky++) {
        let y = first_y + i32(ky * params.dilation_height);
        if (z < 0 || z >= i32(params.input_depth) || y < 0 || y >= i32(params.input_height)) {
          tap += params.kernel_width;
          continue;
        }
        let line = ((first_channel + c) * params.input_depth + u32(z)) * params.input_height + u32(y);
        for (var kx = 0u; kx < params.kernel_width; kx++) {
          let x = first_x + i32(kx * params.dilation_width);
          if (x >= 0 && x < i32(params.input_width)) {
            sum += input_byte(line * params.input_width + u32(x)) * (weight_byte(tap) - weight_zero);
          }
          tap++;
        }
      }
    }
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  if (OUTPUT == 0u) {
    if (word < params.count) { output[word] = bitcast<u32>(accumulate(word)); }
    return;
  }
  let first = word * 4u;
  if (first >= params.count) { return; }
  var packed = 0u;
  for (var i = 0u; i < min(4u, params.count - first); i++) {
    let multiplier = multipliers[output_channel(first + i) * params.multiplier_stride];
    let code = requantize(accumulate(first + i), multiplier, params.zero_point, params.low, params.high);
    packed |= (bitcast<u32>(code) & 0xffu) << (8u * i);
  }
  output[word] = packed;
}
