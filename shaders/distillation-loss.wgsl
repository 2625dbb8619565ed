// The loss of a network that learns from another one's logits too, mixed into its loss from labels, in place.
//
//   p = softmax(logits / T),  q = softmax(teacher / T)
//   loss += share * (T^2 * sum_c q[c] * log(q[c] / p[c]) - loss)
//   gradient[c] += share * (T * (p[c] - q[c]) / batch - gradient[c])
//
// buffer    shape           dtype
// logits    batch, stride   f32, classes of them a row
// teacher   batch, stride   f32, likewise
// gradient  batch, stride   f32, read and written: of the mean loss from labels, by the logits
// results   batch           vec2f, read and written: loss; the other is left alone
//
// One thread takes one row. T^2 keeps gradients of one size at every temperature T. Both softmaxes subtract their row's
// largest logit, and the divergence is a sum of q * (log q - log p), so that no exp() or log() meets an extreme; a share
// q of zero adds nothing. Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015.

override WORKGROUP_SIZE: u32 = 32u;

struct Params {
  batch: u32,
  classes: u32,
  stride: u32,
  share: f32,
  temperature: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> teacher: array<f32>;
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
  var largest = vec2f(logits[first], teacher[first]);
  for (var c = 1u; c < params.classes; c++) {
    largest = max(largest, vec2f(logits[first + c], teacher[first + c]));
  }
  var total = vec2f(0.0);
  for (var c = 0u; c < params.classes; c++) {
    total += exp((vec2f(logits[first + c], teacher[first + c]) - largest) / params.temperature);
  }
  let log_total = log(total);
  var divergence = 0.0;
  for (var c = 0u; c < params.classes; c++) {
    let at = first + c;
    let log_shares = (vec2f(logits[at], teacher[at]) - largest) / params.temperature - log_total;
    let shares = exp(log_shares);
    divergence += shares.y * (log_shares.y - log_shares.x);
    let pull = params.temperature * (shares.x - shares.y) / f32(params.batch);
    gradient[at] += params.share * (pull - gradient[at]);
  }
  let loss = params.temperature * params.temperature * divergence;
  results[row].x += params.share * (loss - results[row].x);
}
