// Cross entropy of softmax against smoothed labels, and its gradient by the logits, in one pass.
//
//   p = softmax(logits),  t = (1 - smoothing) * [c = label] + smoothing / classes
//   loss = -sum_c t[c] * log(p[c]),  gradient[c] = (p[c] - t[c]) / batch
//
// buffer    shape           dtype
// logits    batch, stride   f32, classes of them a row
// labels    batch           u32
// gradient  batch, stride   f32, zero past the classes
// results   batch           vec2f: loss, 1 where the first largest logit is the label
//
// One thread takes one row. Subtracting the row's largest logit keeps exp() from overflowing. Szegedy et al., 2016.

override WORKGROUP_SIZE: u32 = 32u;

struct Params {
  batch: u32,
  classes: u32,
  stride: u32,
  smoothing: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> results: array<vec2f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let row = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (row >= params.batch) {
    return;
  }
  let first = row * params.stride;
  var best = 0u;
  var sum_of_logits = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    sum_of_logits += logits[first + c];
    if (logits[first + c] > logits[first + best]) {
      best = c;
    }
  }
  let largest = logits[first + best];
  var total = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    total += exp(logits[first + c] - largest);
  }
  let log_total = log(total) + largest;
  let share = params.smoothing / f32(params.classes);
  let label = labels[row];
  for (var c = 0u; c < params.stride; c++) {
    let target_share = select(share, share + 1.0 - params.smoothing, c == label);
    let probability = exp(logits[first + c] - largest) / total;
    gradient[first + c] = select(0.0, (probability - target_share) / f32(params.batch), c < params.classes);
  }
  let mean = sum_of_logits / f32(params.classes);
  let expected = (1.0 - params.smoothing) * logits[first + label] + params.smoothing * mean;
  results[row] = vec2f(log_total - expected, select(0.0, 1.0, best == label));
}
