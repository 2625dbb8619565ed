// Gradient of batch norm and its clamp by their input.
//
//   passed as in batch-norm-gradient-sums, N = pixel_count
//   output = gamma * inverse * (passed - beta_gradient / N - normal * gamma_gradient / N)
//   frozen 1 (statistics that do not depend on the input): output = gamma * inverse * passed
//
// buffer      shape                  dtype
// input       pixel_count, vectors   vec4f, what batch-norm read
// gradient    pixel_count, vectors   vec4f, of what it wrote
// statistics  2, vectors             vec4f: mean, inverse deviation
// affine      2, vectors             vec4f: gamma, beta
// sums        2, vectors             vec4f: gradients of gamma and beta
// output      pixel_count, vectors   vec4f
//
// One thread makes one vector. Ioffe and Szegedy, 2015, section 3.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixel_count: u32,
  vectors: u32,
  low: f32,
  high: f32,
  frozen: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(4) var<storage, read> affine: array<vec4f>;
@group(0) @binding(5) var<storage, read> sums: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.pixel_count * params.vectors) {
    return;
  }
  let vector = index % params.vectors;
  let inverse = statistics[params.vectors + vector];
  let gamma = affine[vector];
  let normal = (input[index] - statistics[vector]) * inverse;
  let value = normal * gamma + affine[params.vectors + vector];
  let open = (value > vec4f(params.low)) & (value < vec4f(params.high));
  var passed = select(vec4f(), gradient[index], open);
  if (params.frozen == 0u) {
    passed -= (sums[params.vectors + vector] + normal * sums[vector]) / f32(params.pixel_count);
  }
  output[index] = gamma * inverse * passed;
}
