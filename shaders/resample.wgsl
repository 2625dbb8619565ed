// Weighted averages along one axis: linear and cubic interpolation, antialiased or not, by tables of the host.
//
//   output[o, j, i] = sum over t of weights[j, t] * input[o, places[j, t], i]
//
// buffer   shape                dtype
// input    outer, size, inners  f32
// places   length, taps         i32; a first one below 0 makes the output `outside`
// weights  length, taps         f32; what has the weight 0 isn't read, so that no NaN comes of it
// output   outer, length, inners f32
//
// One thread makes one output. Interpolation over several axes is one dispatch an axis.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  size: u32,
  length: u32,
  inners: u32,
  taps: u32,
  outside: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<i32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) { return; }
  let inner = index % params.inners;
  let j = index / params.inners % params.length;
  let outer = index / params.inners / params.length;
  let first = j * params.taps;
  if (places[first] < 0) {
    output[index] = params.outside;
    return;
  }
  var sum = 0.0;
  for (var t = first; t < first + params.taps; t++) {
    let weight = weights[t];
    if (weight != 0.0) {
      sum += weight * input[(outer * params.size + u32(places[t])) * params.inners + inner];
    }
  }
  output[index] = sum;
}
