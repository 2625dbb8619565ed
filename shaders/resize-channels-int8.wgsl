// Rows of channels of byte codes made longer with zeros, or shorter: to and from channels padded to whole words.
//
//   output[row, c] = input[row, c] where c < input_channels, else 0
//
// buffer   shape                   dtype
// input    rows, input_channels    codes of a byte, four a word, lowest first; rows follow one another without a gap
// output   rows, output_channels   as input
//
// One thread makes one word of the output from its four codes, each from a word of its own of the input: rows begin
// anywhere in a word. Bytes past the last row are 0.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  rows: u32,
  input_channels: u32,
  output_channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let word = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let count = params.rows * params.output_channels;
  if (word * 4u >= count) {
    return;
  }
  var codes = 0u;
  for (var byte = 0u; byte < 4u; byte++) {
    let index = word * 4u + byte;
    let row = index / params.output_channels;
    let c = index % params.output_channels;
    if (index < count && c < params.input_channels) {
      let at = row * params.input_channels + c;
      codes |= ((input[at / 4u] >> (8u * (at % 4u))) & 255u) << (8u * byte);
    }
  }
  output[word] = codes;
}
