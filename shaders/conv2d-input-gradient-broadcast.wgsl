// conv2d-input-gradient for adapters that are a CPU and have subgroups: the same buffers and formula, the weights
// loaded once a subgroup and broadcast (lib/subgroup-broadcast.wgsl).
//
//   input_gradient[p, c] = sum_{ky, kx, o} gradient[(p + pad - (ky, kx) * dilation) / stride, o] * weight[o, ky, kx, c]
//   over the taps whose quotient is whole and inside the output
//
// buffer          shape                                       dtype
// gradient        batch, out_height, out_width, out_vectors   vec4f, padded lanes zero
// weights         tile, ky, kx, channel, 4                    vec4f: sixteen output channels a tile, as conv2d reads them
// input_gradient  batch, height, width, input_vectors         vec4f, padded lanes written as zero
//
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) input channels in registers, and its subgroup the same
// channels of other pixels; a load of weights is one vec4 of output channels for each of LANES input channels.
// For 512 multiply-adds conv2d-input-gradient loads 8 vec4 of weights and 16 of the gradient, here 4 and 4: on lavapipe
// each costs the same, uniform or not. Against it, same run, 3x3 x 128 x 128 and 512 x 512: 4.0 times the speed at
// 4 pixels x 32 channels, 3.9 at 8 x 32, 3.7 at 4 x 16; slower with two vectors of the gradient an iteration, whose
// code is larger than the instruction cache.
// Channels past the last are computed from their neighbours' weights and not stored. Sums run over ky, kx, o in this
// order. One group only: a grouped convolution is rewritten as a dense one first.

const TILE_PIXELS: u32 = 4u;
override WORKGROUP_SIZE: u32 = 8u;

// Adds the products of four output channels, whose weights for one input channel each of b0 to b3 holds.
fn multiply_vector(sums: ptr<function, Sums>, d: ptr<function, Loads>, v: u32, b0: vec4f, b1: vec4f, b2: vec4f,
  b3: vec4f) {
  let b = transpose(mat4x4f(b0, b1, b2, b3));
  for (var i = 0u; i < TILE_PIXELS; i++) {
    var sum = sums[i * TILE_VECTORS + v];
    sum += d[i].x * b[0];
    sum += d[i].y * b[1];
    sum += d[i].z * b[2];
    sum += d[i].w * b[3];
    sums[i * TILE_VECTORS + v] = sum;
  }
}

fn multiply(sums: ptr<function, Sums>, window: ptr<function, Window>, step: u32, at: u32, lane: u32) {
  var w: Shared;
  for (var load = 0u; load < LOADS; load++) {
    w[load] = weights[at + (load * LANES + lane % LANES) * 4u];
  }
  var d = load_pixels(window, step);
  multiply_vectors(sums, &d, &w);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  gather(workgroup.x + workgroup.y * count.x, local, lane);
}
