// Packs codes from one byte each into a dense bit stream of BITS each.
//
//   bit b of code i becomes bit (i * BITS + b) % 32 of output word (i * BITS + b) / 32
//
// buffer  shape                    dtype
// input   ceil(count / 4)          u32; code i in byte i % 4 of word i / 4, lowest first
// output  ceil(count * BITS / 32)  u32; lowest bit first, codes straddle words where BITS does not divide 32
//
// One thread makes one output word from the 4 to 33 codes that reach into it, so no two threads write one word. At
// 8, 4, 2 and 1 bits this is the layout of quantize-linear. Only the low BITS bits of a byte are used: two's complement
// and plain codes pack alike. Bits past the last code are 0. count * BITS must be below 2^32.

override WORKGROUP_SIZE: u32 = 256u;
override BITS: u32 = 4u;

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
  if (word >= (params.count * BITS + 31u) / 32u) {
    return;
  }
  let first_bit = word * 32u;
  let first = first_bit / BITS;
  let end = min((first_bit + 31u) / BITS + 1u, params.count);
  var packed = 0u;
  for (var i = first; i < end; i++) {
    let code = (input[i / 4u] >> (8u * (i % 4u))) & (0xffffffffu >> (32u - BITS));
    let at = i * BITS;
    // Only the first code can begin in the word before.
    packed |= select(code << ((at - first_bit) & 31u), code >> ((first_bit - at) & 31u), at < first_bit);
  }
  output[word] = packed;
}
