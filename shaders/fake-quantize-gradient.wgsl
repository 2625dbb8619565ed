// The straight-through estimator: fake-quantize's gradient by its input, as if rounding were the identity.
//
//   output[i] = gradient[i] where quant_min <= round(input[i] / scale) + zero_point <= quant_max, else 0
//
// buffer    shape      dtype
// input     count      f32, what fake-quantize read
// gradient  count      f32, of what it wrote
// qparams   channels   vec2f: scale, zero point
// output    count      f32
//
// Channel of element i: floor(i / block) * lanes + i mod lanes. Rows along axis 0: block = row length, lanes = 1. One for all:
// block = count, lanes = 1. Tiled weights: block = a tile, lanes = its 8 output channels.
// One thread makes one element. Bengio et al., 2013.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  block: u32,
  lanes: u32,
  quant_min: f32,
  quant_max: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> qparams: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) {
    return;
  }
  let q = qparams[(index / params.block) * params.lanes + index % params.lanes];
  let code = round(input[index] / q.x) + q.y;
  output[index] = select(0.0, gradient[index], code >= params.quant_min && code <= params.quant_max);
}
