// Runs a recurrent cell over sequences: RNN, GRU or LSTM, one direction, all steps.
//
//   RNN   h' = F(x + R h)
//   GRU   u = F(x_u + R_u h),  r = F(x_r + R_r h),  h' = (1 - u) G(x_h + R_h (r h)) + u h
//         with LINEAR  h' = (1 - u) G(x_h + r (R_h h + extra)) + u h
//   LSTM  i = F(x_i + R_i h + p_i c),  f = F(x_f + R_f h + p_f c),  c' = f c + i G(x_c + R_c h)
//         o = F(x_o + R_o h + p_o c'),  h' = o H(c')           COUPLED: f = 1 - i
//
// buffer   shape                                dtype
// inputs   times x batches x gates x hidden     f32: x, what the input and the biases give each gate; strided
// weights  directions x gates x hidden x hidden f32: R, gates in ONNX's order (GRU: u r h, LSTM: i o f c)
// extra    hidden, 3 x hidden                   f32: GRU's bias inside r, LSTM's peepholes p (i o f); else unread
// lengths  batches                              i32: steps of each sequence; with LENGTHS 0 unread: all have `times`
// states   4 x batches x hidden                 f32: h and c, as they begin and as they end, and room for two more
// output   times x batches x hidden             f32: every h'; strided; 0 behind a sequence's end
//
// One workgroup runs one sequence, all its steps: a step needs all of h, so workgroups would have to wait for each other.
// Its threads share the hidden units out. States lie in a buffer, not in workgroup memory, which would bound their number.
//
// Gates are clipped to -clip .. clip before F and G where clip is above 0. REVERSE begins at each sequence's end.

override CELL: u32 = 2u;
override LINEAR: u32 = 0u;
override COUPLED: u32 = 0u;
override PEEPHOLES: u32 = 0u;
override LENGTHS: u32 = 0u;
override REVERSE: u32 = 0u;
override F: u32 = 3u;
override G: u32 = 2u;
override H: u32 = 2u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  times: u32,
  batches: u32,
  hidden: u32,
  input_time: u32,
  input_batch: u32,
  weight_offset: u32,
  extra_offset: u32,
  output_time: u32,
  output_batch: u32,
  output_offset: u32,
  clip: f32,
  f_alpha: f32,
  f_beta: f32,
  g_alpha: f32,
  g_beta: f32,
  h_alpha: f32,
  h_beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> inputs: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> extra: array<f32>;
@group(0) @binding(4) var<storage, read> lengths: array<i32>;
@group(0) @binding(5) var<storage, read_write> states: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

fn activated(kind: u32, x: f32, alpha: f32, beta: f32) -> f32 {
  if (is_nan(x)) { return x; }
  switch kind {
    case 1u: { return max(x, 0.0); } // Relu
    case 2u: { return tanh_of(x); } // Tanh
    case 3u: { return sigmoid_of(x); } // Sigmoid
    case 4u: { return alpha * x + beta; } // Affine
    case 5u: { return select(alpha * x, x, x >= 0.0); } // LeakyRelu
    case 6u: { return select(0.0, x, x >= alpha); } // ThresholdedRelu
    case 7u: { return alpha * tanh_of(beta * x); } // ScaledTanh
    case 8u: { return clamp(alpha * x + beta, 0.0, 1.0); } // HardSigmoid
    case 9u: { return select(alpha * (exp_of(x) - 1.0), x, x >= 0.0); } // Elu
    case 10u: { return x / (1.0 + abs(x)); } // Softsign
    case 11u: { return softplus_of(x); } // Softplus
    default: { return x; }
  }
}

fn clipped(x: f32) -> f32 {
  if (params.clip <= 0.0 || is_nan(x)) { return x; }
  return clamp(x, -params.clip, params.clip);
}

fn f_of(x: f32) -> f32 { return activated(F, clipped(x), params.f_alpha, params.f_beta); }
fn g_of(x: f32) -> f32 { return activated(G, clipped(x), params.g_alpha, params.g_beta); }

// Where a part of a sequence's state lies: 0 h, 1 c, 2 the next h, 3 r h.
fn state_at(part: u32, batch: u32) -> u32 { return (part * params.batches + batch) * params.hidden; }

// A row of R times a part of the state.
fn recurred(gate: u32, unit: u32, state: u32) -> f32 {
  let row = params.weight_offset + (gate * params.hidden + unit) * params.hidden;
  var sum = 0.0;
  for (var k = 0u; k < params.hidden; k++) { sum += weights[row + k] * states[state + k]; }
  return sum;
}

fn peephole(gate: u32, unit: u32, cell: f32) -> f32 {
  if (PEEPHOLES == 0u) { return 0.0; }
  return extra[params.extra_offset + gate * params.hidden + unit] * cell;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let batch = workgroup.x + workgroup.y * grid.x;
  if (batch >= params.batches) { return; }
  let hidden = params.hidden;
  let h_at = state_at(0u, batch);
  let c_at = state_at(1u, batch);
  let next_at = state_at(2u, batch);
  let reset_at = state_at(3u, batch);
  var steps = params.times;
  if (LENGTHS == 1u) { steps = min(u32(max(lengths[batch], 0)), params.times); }
  for (var step = 0u; step < params.times; step++) {
    let runs = step < steps;
    var time = step;
    if (REVERSE == 1u && runs) { time = steps - 1u - step; }
    let input = time * params.input_time + batch * params.input_batch;
    if (CELL == 1u && LINEAR == 0u) {
      for (var j = lane; j < hidden; j += WORKGROUP_SIZE) {
        states[reset_at + j] = f_of(inputs[input + hidden + j] + recurred(1u, j, h_at)) * states[h_at + j];
      }
      storageBarrier();
    }
    for (var j = lane; j < hidden && runs; j += WORKGROUP_SIZE) {
      let first = inputs[input + j] + recurred(0u, j, h_at);
      let h = states[h_at + j];
      if (CELL == 0u) {
        states[next_at + j] = f_of(first);
      } else if (CELL == 1u) {
        let update = f_of(first);
        var candidate = inputs[input + 2u * hidden + j];
        if (LINEAR == 1u) {
          let reset = f_of(inputs[input + hidden + j] + recurred(1u, j, h_at));
          candidate += reset * (recurred(2u, j, h_at) + extra[params.extra_offset + j]);
        } else {
          candidate += recurred(2u, j, reset_at);
        }
        states[next_at + j] = (1.0 - update) * g_of(candidate) + update * h;
      } else {
        let c = states[c_at + j];
        let i = f_of(first + peephole(0u, j, c));
        var f = 1.0 - i;
        if (COUPLED == 0u) { f = f_of(inputs[input + 2u * hidden + j] + recurred(2u, j, h_at) + peephole(2u, j, c)); }
        let next = f * c + i * g_of(inputs[input + 3u * hidden + j] + recurred(3u, j, h_at));
        let o = f_of(inputs[input + hidden + j] + recurred(1u, j, h_at) + peephole(1u, j, next));
        states[c_at + j] = next;
        states[next_at + j] = o * activated(H, next, params.h_alpha, params.h_beta);
      }
    }
    storageBarrier();
    let to = params.output_offset + time * params.output_time + batch * params.output_batch;
    for (var j = lane; j < hidden; j += WORKGROUP_SIZE) {
      if (runs) { states[h_at + j] = states[next_at + j]; }
      output[to + j] = select(0.0, states[next_at + j], runs);
    }
    storageBarrier();
  }
}
