// conv2d for adapters that are a CPU and have subgroups: the same buffers, formula, epilogue and order of sums, the
// weights loaded once a subgroup and broadcast (lib/subgroup-broadcast.wgsl).
//
//   sum[p, o] = sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * weight[o, ky, kx, c]
//   out[p, o] = max over the pool window of clamp(sum[p, o] * scale[o] + shift[o], low, high)
//
// buffer      shape                                       dtype
// input       batch, height, width, input_vectors         vec4f, channels padded to 4 with zeros
// weights     tile, ky, kx, channel, TILE_VECTORS         vec4f: four output channels
// scale,shift tile x TILE_VECTORS                         vec4f
// output      batch, out_height, out_width, out_vectors   vec4f
//
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) output channels in registers, and its subgroup the same
// channels of other pixels. On lavapipe conv2d spends two thirds of its time loading, half of that on weights that all
// lanes share: 16 vec4 of weights and 8 of input for 512 multiply-adds, here 4 and 4. The four products of a
// vec4 are added before a sum goes back to memory, where masking it costs as much as an addition. Against conv2d, same
// run, 3x3 x 256 x 256: 2.1 times the speed at 4 x 32, 1.9 at 8 x 32 or 8 x 16, 1.6 at 4 x 16.

const TILE_PIXELS: u32 = 4u;
override WORKGROUP_SIZE: u32 = 64u;
alias Weights = vec4f;

fn load_weights(at: u32) -> vec4f {
  return weights[at];
}

fn multiply_vector(sums: ptr<function, Sums>, a: ptr<function, Loads>, v: u32, b0: vec4f, b1: vec4f, b2: vec4f,
  b3: vec4f) {
  for (var i = 0u; i < TILE_PIXELS; i++) {
    var sum = sums[i * TILE_VECTORS + v];
    sum += a[i].x * b0;
    sum += a[i].y * b1;
    sum += a[i].z * b2;
    sum += a[i].w * b3;
    sums[i * TILE_VECTORS + v] = sum;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  convolve(workgroup.x + workgroup.y * count.x, local, lane, params.input_vectors, params.group_vectors);
}
