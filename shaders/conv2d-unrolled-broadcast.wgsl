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

override WORKGROUP_SIZE: u32 = 8u;

// What the subgroup's first four threads loaded, 16 channels of one input channel.
fn spread(w: vec4f) -> mat4x4f {
  return mat4x4f(subgroupBroadcast(w, 0u), subgroupBroadcast(w, 1u), subgroupBroadcast(w, 2u), subgroupBroadcast(w, 3u));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (params.pixel_count + 4u * WORKGROUP_SIZE - 1u) / (4u * WORKGROUP_SIZE);
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = ((linear % blocks) * WORKGROUP_SIZE + local) * 4u;
  let p0 = locate(first + 0u);
  let p1 = locate(first + 1u);
  let p2 = locate(first + 2u);
  let p3 = locate(first + 3u);
  var s0 = mat4x4f();
  var s1 = mat4x4f();
  var s2 = mat4x4f();
  var s3 = mat4x4f();
  let group_vector = (tile / params.group_tiles) * params.group_vectors;
  var at = tile * params.kernel_height * params.kernel_width * params.group_vectors * 16u + lane % 4u;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let o0 = tap(p0, ky, kx);
      let o1 = tap(p1, ky, kx);
      let o2 = tap(p2, ky, kx);
      let o3 = tap(p3, ky, kx);
      for (var vector = group_vector; vector < group_vector + params.group_vectors; vector++) {
        let a0 = fetch(o0, vector);
        let a1 = fetch(o1, vector);
        let a2 = fetch(o2, vector);
        let a3 = fetch(o3, vector);
        let b0 = spread(weights[at]);
        s0 += a0.x * b0;
        s1 += a1.x * b0;
        s2 += a2.x * b0;
        s3 += a3.x * b0;
        let b1 = spread(weights[at + 4u]);
        s0 += a0.y * b1;
        s1 += a1.y * b1;
        s2 += a2.y * b1;
        s3 += a3.y * b1;
        let b2 = spread(weights[at + 8u]);
        s0 += a0.z * b2;
        s1 += a1.z * b2;
        s2 += a2.z * b2;
        s3 += a3.z * b2;
        let b3 = spread(weights[at + 12u]);
        s0 += a0.w * b3;
        s1 += a1.w * b3;
        s2 += a2.w * b3;
        s3 += a3.w * b3;
        at += 16u;
      }
    }
  }
  store(first, tile * 4u, s0[0], s1[0], s2[0], s3[0]);
  store(first, tile * 4u + 1u, s0[1], s1[1], s2[1], s3[1]);
  store(first, tile * 4u + 2u, s0[2], s1[2], s2[2], s3[2]);
  store(first, tile * 4u + 3u, s0[3], s1[3], s2[3], s3[3]);
}
