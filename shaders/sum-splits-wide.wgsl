// Adds the partial sums of a split reduction where splits are many and elements few: what sum-splits computes, for GPUs.
//
//   output[i] = sum over splits s of partial[s, i]
//
// buffer   shape           dtype
// partial  splits, count   f32
// output   count           f32
//
// One workgroup adds 4 elements by 64 lanes each: lane l adds splits l, l + 64, ... in order, then halves of the lanes are
// added to each other. The order is fixed, so the bits are the same in every run, but other than sum-splits'.

const ELEMENTS: u32 = 4u;
const LANES: u32 = 64u;

struct Params {
  count: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

var<workgroup> partial_sums: array<f32, ELEMENTS * LANES>;

@compute @workgroup_size(ELEMENTS * LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) thread: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * ELEMENTS + thread % ELEMENTS;
  var sum = 0.0;
  if (index < params.count) {
    for (var split = thread / ELEMENTS; split < params.splits; split += LANES) {
      sum += partial[split * params.count + index];
    }
  }
  partial_sums[thread] = sum;
  for (var half = ELEMENTS * LANES / 2u; half >= ELEMENTS; half /= 2u) {
    workgroupBarrier();
    if (thread < half) {
      partial_sums[thread] += partial_sums[thread + half];
    }
  }
  if (thread < ELEMENTS && index < params.count) {
    output[index] = partial_sums[thread];
  }
}
