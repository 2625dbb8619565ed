// Adds the partial sums of a split reduction, in the order of the splits: the same bits in every run.
//
//   output[i] = partial[0, i] + partial[1, i] + ... + partial[splits - 1, i]
//
// buffer   shape           dtype
// partial  splits, count   f32
// output   count           f32
//
// One thread adds one element's splits; neighbours read neighbouring words.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) {
    return;
  }
  var sum = 0.0;
  for (var split = 0u; split < params.splits; split++) {
    sum += partial[split * params.count + index];
  }
  output[index] = sum;
}
