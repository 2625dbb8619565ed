// Concatenation of quantized tensors, each requantized to the output's scale (com.microsoft QLinearConcat).
//
//   RESCALE 0  ort-f32:         rne(f32(f32((x - z_i) * s_i) / s_y)) + z_y, saturated: dequantize, then quantize
//   RESCALE 1  the other rules: requantize(x - z_i, M_i, z_y, low, high) with M_i = s_i * 1 / s_y (lib/requantize.wgsl)
//
// buffer    shape           dtype and packing
// input     all inputs      int8 or uint8, four a word, one input after the other, each from a whole word on
// segments  8 a segment     u32: [0] where it ends in an output row, [1] its length in a row, [2] its first byte in
//                           `input`, [3] flip, [4] zero point as i32 bits, [5], [6] multiplier, [7] scale as f32 bits
// output    rows, row       as the input
//
// A row is everything from the concatenated axis on: row = sum of the segments' lengths. Segment i's bytes are
// [rows, length]. An int8 byte v is read as (v ^ 0x80) - 128 and its zero point is 128 larger.
//
// One thread writes one word, four codes; the last word's missing codes are zeros. All in integers except a rule's
// native f32, which is used where it is known to be exact.

override WORKGROUP_SIZE: u32 = 64u;
const RESCALE: u32 = 0u;

struct Params {
  count: u32,
  row: u32,
  y_scale: f32,
  zero_point: i32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

fn code_of(index: u32) -> i32 {
  let place = index % params.row;
  var segment = 0u;
  while (place >= segments[segment]) { segment += 8u; }
  let size = segments[segment + 1u];
  let start = segments[segment] - size;
  let byte = segments[segment + 2u] + (index / params.row) * size + place - start;
  let value = ((input[byte >> 2u] >> (8u * (byte & 3u))) & 0xffu) ^ segments[segment + 3u];
  let difference = i32(value) - bitcast<i32>(segments[segment + 4u]);
  if (RESCALE == 1u) {
    let multiplier = vec2u(segments[segment + 5u], segments[segment + 6u]);
    return requantize(difference, multiplier, params.zero_point, params.low, params.high);
  }
  let real = f32_multiply_bits(f32_from_i32_bits(difference), segments[segment + 7u]);
  let rounded = round_half_even_to_i32(f32_divide_bits(real, bitcast<u32>(params.y_scale)));
  return clamp(rounded, params.low - params.zero_point, params.high - params.zero_point) + params.zero_point;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  let first = word * 4u;
  if (first >= params.count) { return; }
  var packed = 0u;
  for (var i = 0u; i < min(4u, params.count - first); i++) {
    packed |= (bitcast<u32>(code_of(first + i)) & 0xffu) << (8u * i);
  }
  output[word] = packed;
}
