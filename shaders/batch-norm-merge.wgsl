// Joins the splits of batch-norm-statistics into a batch's mean and inverse deviation, and moves the running ones.
//
//   mean, M2 of two parts a, b: mean_a + (mean_b - mean_a) * n_b / n,  M2_a + M2_b + (mean_b - mean_a)^2 * n_a * n_b / n
//   statistics = mean, 1 / sqrt(M2 / n + epsilon)
//   running += momentum * (batch - running), the variance's batch value being M2 / (n - 1)
//
// buffer      shape                dtype
// partial     splits, 2, vectors   vec4f: mean, M2
// statistics  2, vectors           vec4f: mean, inverse deviation
// running     2, vectors           vec4f: mean, variance; read and written
//
// One thread joins one vector's splits in order (Chan, Golub and LeVeque, 1983): the same bits in every run. A batch
// of one pixel keeps M2 / 1 for the running variance.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixel_count: u32,
  vectors: u32,
  chunk: u32,
  epsilon: f32,
  momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> running: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let vector = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (vector >= params.vectors) {
    return;
  }
  var mean = vec4f();
  var squares = vec4f();
  var seen = 0.0;
  var split = 0u;
  for (var begin = 0u; begin < params.pixel_count; begin += params.chunk) {
    let size = f32(min(params.chunk, params.pixel_count - begin));
    let difference = partial[split * 2u * params.vectors + vector] - mean;
    let share = size / (seen + size);
    mean += difference * share;
    squares += partial[(split * 2u + 1u) * params.vectors + vector] + difference * difference * (seen * share);
    seen += size;
    split++;
  }
  statistics[vector] = mean;
  statistics[params.vectors + vector] = 1.0 / sqrt(squares / seen + params.epsilon);
  running[vector] += params.momentum * (mean - running[vector]);
  let variance = running[params.vectors + vector];
  running[params.vectors + vector] = variance + params.momentum * (squares / max(1.0, seen - 1.0) - variance);
}
