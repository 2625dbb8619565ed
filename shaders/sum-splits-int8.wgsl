// Adds the partial sums that conv2d-int8-tiled leaves with SPLIT, then bias, clamp, 2x2 max-pool and requantization.
//
//   out[p, o] = requantize(bias[o] + max over the pool window of (partial[0, p, o] + ... + partial[splits - 1, p, o]))
//
// Integer sums are exact in any order: the result is the unsplit kernel's, bit for bit.
//
// buffer      shape                            dtype
// partial     splits, pixel_count, vectors     vec4i; with a pool pixels 4w to 4w + 3 are the corners of window w
// bias        vectors                          vec4i
// multipliers vectors x 4                      vec2u a channel (lib/requantize.wgsl); f32 scale in .x for OUTPUT 2
// output      pixel or window, output_words    4 int8 channels a u32 (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2)
//
// One thread makes four channels of one output pixel; neighbours read neighbouring vectors.

const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  splits: u32,
  pixel_count: u32,
  vector_count: u32,
  output_words: u32,
  pool: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4i>;
@group(0) @binding(2) var<storage, read> bias: array<vec4i>;
@group(0) @binding(3) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

fn sum_of(pixel: u32, vector: u32) -> vec4i {
  var sum = vec4i();
  for (var split = 0u; split < params.splits; split++) {
    sum += partial[(split * params.pixel_count + pixel) * params.vector_count + vector];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let pixel = index / params.vector_count;
  let vector = index % params.vector_count;
  if (pixel >= (params.pixel_count >> (2u * params.pool))) {
    return;
  }
  var best = sum_of(pixel << (2u * params.pool), vector);
  for (var corner = 1u; corner < 4u * params.pool; corner++) {
    best = max(best, sum_of(pixel * 4u + corner, vector));
  }
  store(pixel, vector, best + bias[vector]);
}
