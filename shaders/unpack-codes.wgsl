// Unpacks a dense bit stream of BITS-bit codes into one byte each: the inverse of pack-codes.
//
//   code i is bits i * BITS up to (i + 1) * BITS - 1 of the stream, sign-extended to 8 bits if SIGNED is 1
//
// buffer  shape                    dtype
// input   ceil(count * BITS / 32)  u32; lowest bit first, codes straddle words where BITS does not divide 32
// output  ceil(count / 4)          u32; code i in byte i % 4 of word i / 4, lowest first
//
// One thread makes one output word from its 4 codes, each in one or two input words. Bytes past the last code are 0.
// count * BITS must be below 2^32.

override WORKGROUP_SIZE: u32 = 256u;
override BITS: u32 = 4u;
override SIGNED: u32 = 1u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let first = word * 4u;
  if (first >= params.count) {
    return;
  }
  let end = min(first + 4u, params.count);
  var unpacked = 0u;
  for (var i = first; i < end; i++) {
    let at = i * BITS;
    let shift = at % 32u;
    var bits = input[at / 32u] >> shift;
    if (shift + BITS > 32u) {
      bits |= input[at / 32u + 1u] << (32u - shift);
    }
    let at_top = bits << (32u - BITS);
    let code = select(at_top >> (32u - BITS), bitcast<u32>(bitcast<i32>(at_top) >> (32u - BITS)), SIGNED == 1u);
    unpacked |= (code & 255u) << (8u * (i - first));
  }
  output[word] = unpacked;
}
