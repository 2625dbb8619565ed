// One step of stochastic gradient descent with momentum, as PyTorch defines it.
//
//   g = gradient + weight_decay * weight,  velocity = momentum * velocity + g
//   weight -= rate * (nesterov ? g + momentum * velocity : velocity)
//
// buffer    shape           dtype
// gradient  first + count   f32
// schedule  1               f32: the learning rate, written by the host before each step
// weights   first + count   f32, read and written
// velocity  first + count   f32, read and written; zeros at the start
//
// One thread moves one element; those before `first` stay (a convolution's fixed scale before its bias). The rate is a buffer because params are fixed when a call is bound.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  first: u32,
  count: u32,
  nesterov: u32,
  momentum: f32,
  weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> schedule: array<f32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> velocity: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let item = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (item >= params.count) {
    return;
  }
  let index = params.first + item;
  let g = gradient[index] + params.weight_decay * weights[index];
  let moved = params.momentum * velocity[index] + g;
  velocity[index] = moved;
  let direction = select(moved, g + params.momentum * moved, params.nesterov == 1u);
  weights[index] -= schedule[0] * direction;
}
