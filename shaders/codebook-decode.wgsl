// Looks every code up in its group's codebook.
//
//   output[i] = codebook[group(i), codes[i]],  group(i) = floor(i / groupStride) mod groups
//
// buffer    shape               dtype  holds
// codes     [ceil(count / 4)]   u32    four 8-bit codes a word, the first in bits 0-7
// codebook  [groups, clusters]  f32    values
// output    [count]             f32    the values looked up
//
// One thread decodes one word of four codes: the word is read once, and neighbours write neighbouring values.
//
// One codebook: groups = 1. A group of consecutive elements: groupStride = group size, groups = ceil(count / size).
// An axis: groupStride = elements of one step along it, groups = its length. A code past the codebook's end gives the
// last entry. Bits are copied, not computed: -0, subnormals and NaN pass as they are where the adapter loads f32
// unchanged, and so the buffers are declared as u32.

struct Params {
  count: u32,
  clusters: u32,
  groups: u32,
  groupStride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

override WORKGROUP_SIZE: u32 = 64;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (workgroup.x + workgroup.y * workgroups.x) * WORKGROUP_SIZE + lane;
  if (word >= (params.count + 3u) / 4u) {
    return;
  }
  let packed = codes[word];
  for (var i = 0u; i < min(4u, params.count - word * 4u); i++) {
    let at = word * 4u + i;
    let code = min((packed >> (8u * i)) & 0xffu, params.clusters - 1u);
    let group = (at / params.groupStride) % params.groups;
    output[at] = codebook[group * params.clusters + code];
  }
}
