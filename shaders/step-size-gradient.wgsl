// The learned step size's gradient: fake-quantize by its scale, zero point fixed, in split sums a channel.
//
//   partial[s, c] = gradient_scale * sum over elements i of split s of channel c of gradient[i] * slope[i]
//   slope = round(v) - v inside the range, the range's end minus the zero point outside,  v = input[i] / scale
//
// buffer    shape              dtype
// input     count              f32, what fake-quantize read
// gradient  count              f32, of what it wrote
// qparams   channels           vec2f: scale, zero point
// partial   splits, channels   vec2f: the sum, and 0 for the fixed zero point; sum-splits adds them in order
//
// Channel of element i: floor(i / block) * lanes + i mod lanes. Rows along axis 0: block = row length, lanes = 1. One for all:
// block = count, lanes = 1. Tiled weights: block = a tile, lanes = its 8 output channels.
// One thread takes one channel over chunk of its elements, in order. Esser et al., Learned Step Size Quantization, 2020,
// whose gradient_scale is 1 / sqrt(elements a channel * quant_max).

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  block: u32,
  lanes: u32,
  chunk: u32,
  quant_min: f32,
  quant_max: f32,
  gradient_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> qparams: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec2f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let channels = (params.count / params.block) * params.lanes;
  let elements = params.block / params.lanes;
  let channel = index % channels;
  let begin = (index / channels) * params.chunk;
  if (begin >= elements) {
    return;
  }
  let q = qparams[channel];
  let first = (channel / params.lanes) * params.block + channel % params.lanes;
  var sum = 0.0;
  for (var k = begin; k < min(begin + params.chunk, elements); k++) {
    let at = first + k * params.lanes;
    let value = input[at] / q.x;
    let code = round(value) + q.y;
    let clamped = clamp(code, params.quant_min, params.quant_max) - q.y;
    sum += gradient[at] * select(clamped, clamped - value, code >= params.quant_min && code <= params.quant_max);
  }
  partial[index] = vec2f(sum * params.gradient_scale, 0.0);
}
