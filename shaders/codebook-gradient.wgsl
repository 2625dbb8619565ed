// Sums the values of each codebook entry's members, in splits: the gradient of centroids, or the members' mean.
//
//   partial[s, k] = sum over members j of entry k in split s of values[j]    (mean 1: divided by k's member count)
//
// buffer   shape              dtype
// members  count              u32, elements sorted by entry
// offsets  segments + 1       u32, where each entry's members begin
// values   at least count     f32, gradients of the weights, or the weights
// partial  splits, segments   f32; sum-splits adds them in order
//
// Weights are codebook[codes], so dL/dC_k = sum_j dL/dW_j [I_j = k] (Han et al., Deep Compression, 2016, section 3).
// One thread takes every splits-th member of one entry from its own first, in order: no atomics, the same bits in
// every run. An entry without members gives 0. Segments number groups x clusters where there are several codebooks.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  segments: u32,
  splits: u32,
  mean: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> members: array<u32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let segment = index / params.splits;
  let split = index % params.splits;
  if (segment >= params.segments) {
    return;
  }
  let begin = offsets[segment];
  let end = offsets[segment + 1u];
  var sum = 0.0;
  for (var at = begin + split; at < end; at += params.splits) {
    sum += values[members[at]];
  }
  if (params.mean == 1u) {
    sum /= f32(max(1u, end - begin));
  }
  partial[split * params.segments + segment] = sum;
}
