// Puts one quantized tensor in its place in a concatenation, requantized to the output's scale (com.microsoft
// QLinearConcat); one dispatch an input, in order.
//
//   RESCALE 0  ort-f32:         rne(f32(f32((x - z_i) * s_i) / s_y)) + z_y, saturated: dequantize, then quantize
//   RESCALE 1  the other rules: requantize(x - z_i, M_i, z_y, low, high) with M_i = s_i * 1 / s_y (lib/requantize.wgsl)
//   RESCALE 2  equal scales:    x - z_i + z_y, saturated: what every rule gives for s_i = s_y
//
// buffer  shape                     dtype and packing
// input   rows, input_stride        PACKED 1: int8 or uint8, four a word, input_stride in bytes, any; PACKED 0: i32, one a word
// output  rows, output_words        as the input; a row begins at a whole word
//
// A row is everything from the concatenated axis on. The input's `length` elements a row go to elements start .. start +
// length - 1 of the output's row. An int8 byte v is read as (v ^ 0x80) - 128 and its zero point is 128 larger; whole
// words are values already.
//
// One thread writes one word of the `words` that the input touches in a row: bytes before the input's first are kept,
// which is why inputs go in order, bytes after its last are zeros until the next input or for good.
// All in integers except a rule's native f32, which is used where it is known to be exact.

override WORKGROUP_SIZE: u32 = 64u;
const RESCALE: u32 = 0u;
const PACKED: u32 = 1u;

struct Params {
  rows: u32,
  words: u32,
  start: u32,
  length: u32,
  input_stride: u32,
  output_words: u32,
  flip: u32,
  zero: i32,
  zero_point: i32,
  low: i32,
  high: i32,
  scale_word: u32,
  y_scale_word: u32,
  multiplier: u32,
  multiplier_more: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

fn value_of(index: u32) -> i32 {
  if (PACKED == 0u) { return bitcast<i32>(input[index]); }
  return i32(((input[index >> 2u] >> (8u * (index & 3u))) & 0xffu) ^ params.flip);
}

fn code_of(index: u32) -> i32 {
  let difference = value_of(index) - params.zero;
  let zero_point = params.zero_point;
  if (RESCALE == 1u) {
    let multiplier = vec2u(params.multiplier, params.multiplier_more);
    return requantize(difference, multiplier, zero_point, params.low, params.high);
  }
  var rounded = difference;
  if (RESCALE == 0u) {
    let real = f32_multiply_bits(f32_from_i32_bits(difference), params.scale_word);
    rounded = round_half_even_to_i32(f32_divide_bits(real, params.y_scale_word));
  }
  return clamp(rounded, params.low - zero_point, params.high - zero_point) + zero_point;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  let row = index / params.words;
  if (row >= params.rows) { return; }
  if (PACKED == 0u) {
    let place = index % params.words;
    let code = code_of(row * params.input_stride + place);
    output[row * params.output_words + params.start + place] = bitcast<u32>(code);
    return;
  }
  let word = (params.start >> 2u) + index % params.words;
  let at = row * params.output_words + word;
  var packed = 0u;
  for (var i = 0u; i < 4u; i++) {
    let byte = word * 4u + i;
    if (byte < params.start) {
      packed |= output[at] & (0xffu << (8u * i));
    } else if (byte < params.start + params.length) {
      let code = code_of(row * params.input_stride + byte - params.start);
      packed |= (bitcast<u32>(code) & 0xffu) << (8u * i);
    }
  }
  output[at] = packed;
}
