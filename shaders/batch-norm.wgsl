// Normalizes each channel, scales, shifts and clamps it (ReLU) in one pass.
//
//   output[p, c] = clamp((input[p, c] - mean[c]) * inverse[c] * gamma[c] + beta[c], low, high)
//
// buffer      shape                  dtype
// input       pixel_count, vectors   vec4f, NHWC
// statistics  2, vectors             vec4f: mean, inverse deviation
// affine      2, vectors             vec4f: gamma, beta; zeros in padded lanes keep them zero
// output      pixel_count, vectors   vec4f
//
// One thread makes one vector. Ioffe and Szegedy, 2015.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixel_count: u32,
  vectors: u32,
  low: f32,
  high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(3) var<storage, read> affine: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.pixel_count * params.vectors) {
    return;
  }
  let vector = index % params.vectors;
  let normal = (input[index] - statistics[vector]) * statistics[params.vectors + vector];
  let value = normal * affine[vector] + affine[params.vectors + vector];
  output[index] = clamp(value, vec4f(params.low), vec4f(params.high));
}
