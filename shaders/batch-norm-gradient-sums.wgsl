// The sums over pixels that batch norm's gradients need, in splits: those of gamma and beta themselves.
//
//   passed = gradient where low < value < high, else 0,  value = normal * gamma + beta,  normal = (input - mean) * inverse
//   partial[s, 0, c] = sum over pixels of split s of passed * normal      (gamma's gradient)
//   partial[s, 1, c] = sum over pixels of split s of passed               (beta's gradient)
//
// buffer      shape                  dtype
// input       pixel_count, vectors   vec4f, what batch-norm read
// gradient    pixel_count, vectors   vec4f, of what it wrote
// statistics  2, vectors             vec4f: mean, inverse deviation
// affine      2, vectors             vec4f: gamma, beta
// partial     splits, 2, vectors     vec4f; sum-splits adds them in order
//
// One thread takes one vector of channels over chunk pixels. The clamp's mask is computed again, not stored.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixel_count: u32,
  vectors: u32,
  chunk: u32,
  low: f32,
  high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4f>;
@group(0) @binding(4) var<storage, read> affine: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> partial: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vector = index % params.vectors;
  let split = index / params.vectors;
  let begin = split * params.chunk;
  if (begin >= params.pixel_count) {
    return;
  }
  let mean = statistics[vector];
  let inverse = statistics[params.vectors + vector];
  let gamma = affine[vector];
  let beta = affine[params.vectors + vector];
  var scaled = vec4f();
  var plain = vec4f();
  for (var pixel = begin; pixel < min(begin + params.chunk, params.pixel_count); pixel++) {
    let normal = (input[pixel * params.vectors + vector] - mean) * inverse;
    let value = normal * gamma + beta;
    let open = (value > vec4f(params.low)) & (value < vec4f(params.high));
    let passed = select(vec4f(), gradient[pixel * params.vectors + vector], open);
    scaled += passed * normal;
    plain += passed;
  }
  partial[split * 2u * params.vectors + vector] = scaled;
  partial[(split * 2u + 1u) * params.vectors + vector] = plain;
}
