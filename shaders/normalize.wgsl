// Normalizes groups of consecutive values by their own mean and variance, or each channel by given ones.
//
//   y[i] = (x[i] - mean) / sqrt(variance + epsilon) * scale[s] + bias[s],   s = (i / scale_inners) % scale_count
//
// buffer      shape         dtype
// input       groups, size  f32
// scale       scale_count   f32
// bias        scale_count   f32; unread where HAS_BIAS is 0
// means       scale_count   f32, read where GIVEN is 1; a group then lies within one channel s
// variances   scale_count   f32, as means
// output      groups, size  f32
// statistics  2 x groups    f32: means, then 1 / sqrt(variance + epsilon); written where STATISTICS is 1
//
// LANES threads share one group: a whole workgroup where groups are long, 1 where they are short. The variance is that of
// differences from the mean found before (two passes: one loses half the digits where the mean is large); CENTERED 0 takes
// 0 for the mean, which makes it the mean square. The lanes join in a tree.

override GIVEN: u32 = 0u;
override CENTERED: u32 = 1u;
override HAS_BIAS: u32 = 1u;
override STATISTICS: u32 = 0u;
override LANES: u32 = 1u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  groups: u32,
  size: u32,
  scale_inners: u32,
  scale_count: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> means: array<f32>;
@group(0) @binding(5) var<storage, read> variances: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;
@group(0) @binding(7) var<storage, read_write> statistics: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

// The sum over all lanes of a group, in every one of them.
fn join(value: f32, local: u32, lane: u32) -> f32 {
  if (LANES == 1u) { return value; }
  partial[local] = value;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) { partial[local] += partial[local + step]; }
  }
  workgroupBarrier();
  let result = partial[local - lane];
  workgroupBarrier();
  return result;
}

fn channel_of(index: u32) -> u32 { return index / params.scale_inners % params.scale_count; }

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + local;
  let group = thread / LANES;
  let lane = thread % LANES;
  // Lanes without a group go on, for the barriers' sake, over no element.
  let inside = group < params.groups;
  let size = select(0u, params.size, inside);
  let base = group * params.size;
  var mean = 0.0;
  var variance = 0.0;
  if (GIVEN == 1u) {
    mean = means[channel_of(base)];
    variance = variances[channel_of(base)];
  } else {
    if (CENTERED == 1u) {
      var sum = 0.0;
      for (var i = lane; i < size; i += LANES) { sum += input[base + i]; }
      mean = join(sum, local, lane) / f32(params.size);
    }
    var squares = 0.0;
    for (var i = lane; i < size; i += LANES) {
      let difference = input[base + i] - mean;
      squares += difference * difference;
    }
    variance = join(squares, local, lane) / f32(params.size);
  }
  let factor = 1.0 / sqrt(variance + params.epsilon);
  for (var i = lane; i < size; i += LANES) {
    let channel = channel_of(base + i);
    var value = (input[base + i] - mean) * factor * scale[channel];
    if (HAS_BIAS == 1u) { value += bias[channel]; }
    output[base + i] = value;
  }
  if (STATISTICS == 1u && inside && lane == 0u) {
    statistics[group] = mean;
    statistics[params.groups + group] = factor;
  }
}
