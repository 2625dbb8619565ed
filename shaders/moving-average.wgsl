// Moves an average towards values by a rate that the host sets before each step.
//
//   average[i] += schedule[entry] * (values[i] - average[i])
//
// buffer    shape           dtype
// schedule  above entry     f32
// values    count           f32
// average   count           f32, read and written
//
// One thread moves one element. Polyak and Juditsky, 1992; the rate is one minus the decay.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  entry: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> schedule: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> average: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) {
    return;
  }
  average[index] += schedule[params.entry] * (values[index] - average[index]);
}
