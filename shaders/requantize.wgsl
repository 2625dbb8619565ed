// Requantizes int32 accumulators to codes by a named rule: lib/requantize.wgsl, one element at a time.
//
//   codes[i] = requantize(accumulators[i], multipliers[(i / channel_stride) % channels], zero_point, low, high)
//
// buffer        shape        element   packing
// accumulators  count        i32       one a word
// multipliers   channels     vec2u     as prepareMultipliers makes them for the rule
// codes         count        u32       PACKED 0: one i32 a word; PACKED 1: four int8 or uint8 a word, element i in
//                                      bits 8 * (i % 4) .. + 7 of word i / 4
//
// One thread writes one word of codes: one element, or four consecutive ones.
// Edge cases: a ragged last word is padded with zeros; rounding and saturation are the rule's.

override WORKGROUP_SIZE: u32 = 64u;
const PACKED: u32 = 0u;

struct Params {
  count: u32,
  channels: u32,
  channel_stride: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> accumulators: array<i32>;
@group(0) @binding(2) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;

fn code_of(index: u32) -> u32 {
  let multiplier = multipliers[(index / params.channel_stride) % params.channels];
  return bitcast<u32>(requantize(accumulators[index], multiplier, params.zero_point, params.low, params.high));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  let width = select(1u, 4u, PACKED == 1u);
  if (word >= (params.count + width - 1u) / width) { return; }
  if (PACKED == 0u) {
    codes[word] = code_of(word);
    return;
  }
  var packed = 0u;
  for (var i = 0u; i < min(4u, params.count - word * 4u); i++) {
    packed |= (code_of(word * 4u + i) & 0xffu) << (8u * i);
  }
  codes[word] = packed;
}
