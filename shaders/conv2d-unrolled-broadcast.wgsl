// conv2d-unrolled where subgroups have four threads or more: the same buffers, formula and epilogue, the weights loaded
// once a subgroup and broadcast (lib/subgroup-broadcast.wgsl), 4 pixels x 16 output channels a thread.
//
//   sum[p, o] = sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * weight[o, ky, kx, c]
//   out[p, o] = max over the pool window of clamp(sum[p, o] * scale[o] + shift[o], low, high)
//
// buffer      shape                                       dtype
// input       batch, height, width, input_vectors         vec4f, channels padded to 4 with zeros
// weights     tile, ky, kx, channel, 4                    vec4f: four output channels
// scale,shift tile x 4                                    vec4f
// output      batch, out_height, out_width, out_vectors   vec4f
//
// A pixel's 16 sums are one matrix, because SwiftShader keeps private arrays in memory. It loads lane by lane, as
// lavapipe does: 8 vec4 of input and weights for 64 multiply-adds of four, where conv2d-unrolled needs 12 for 32.
// Against that kernel, same run, 3x3 x 64 x 64: 1.5 times the speed. For int8 the same gave 1.2 and was left out.

const STEP_VECTORS: u32 = 16u;
override WORKGROUP_SIZE: u32 = 8u;

struct Sums {
  s0: mat4x4f,
  s1: mat4x4f,
  s2: mat4x4f,
  s3: mat4x4f,
}

// What the subgroup's first four threads loaded, 16 channels of one input channel.
fn spread(w: vec4f) -> mat4x4f {
  return mat4x4f(subgroupBroadcast(w, 0u), subgroupBroadcast(w, 1u), subgroupBroadcast(w, 2u), subgroupBroadcast(w, 3u));
}

fn multiply(sums: ptr<function, Sums>, taps: vec4u, begin: u32, first: u32, lane: u32) {
  var at = first + lane % 4u;
  for (var vector = begin; vector < begin + params.group_vectors; vector++) {
    let a0 = fetch(taps.x, vector);
    let a1 = fetch(taps.y, vector);
    let a2 = fetch(taps.z, vector);
    let a3 = fetch(taps.w, vector);
    let b0 = spread(weights[at]);
    sums.s0 += a0.x * b0;
    sums.s1 += a1.x * b0;
    sums.s2 += a2.x * b0;
    sums.s3 += a3.x * b0;
    let b1 = spread(weights[at + 4u]);
    sums.s0 += a0.y * b1;
    sums.s1 += a1.y * b1;
    sums.s2 += a2.y * b1;
    sums.s3 += a3.y * b1;
    let b2 = spread(weights[at + 8u]);
    sums.s0 += a0.z * b2;
    sums.s1 += a1.z * b2;
    sums.s2 += a2.z * b2;
    sums.s3 += a3.z * b2;
    let b3 = spread(weights[at + 12u]);
    sums.s0 += a0.w * b3;
    sums.s1 += a1.w * b3;
    sums.s2 += a2.w * b3;
    sums.s3 += a3.w * b3;
    at += STEP_VECTORS;
  }
}

fn finish(first: u32, tile: u32, sums: ptr<function, Sums>) {
  store_scaled(first, tile * 4u, sums.s0[0], sums.s1[0], sums.s2[0], sums.s3[0]);
  store_scaled(first, tile * 4u + 1u, sums.s0[1], sums.s1[1], sums.s2[1], sums.s3[1]);
  store_scaled(first, tile * 4u + 2u, sums.s0[2], sums.s1[2], sums.s2[2], sums.s3[2]);
  store_scaled(first, tile * 4u + 3u, sums.s0[3], sums.s1[3], sums.s2[3], sums.s3[3]);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  convolve(workgroup.x + workgroup.y * count.x, local, lane, params.input_vectors, params.group_vectors);
}
