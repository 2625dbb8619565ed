// Looks entries up in codebooks laid end to end: what codebook-decode does, for elements in any order.
//
//   output[i] = codebook[entries[i]]
//
// buffer    shape   dtype  holds
// entries   count   u32    group x clusters + code; past the codebooks' end: the last entry
// codebook  any     u32    f32 values, as their bits
// output    count   u32    f32 values, as their bits
//
// One thread looks one element up. Training's weights lie in tiles, where no stride tells an element's group.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> entries: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) {
    return;
  }
  output[index] = codebook[min(entries[index], arrayLength(&codebook) - 1u)];
}
