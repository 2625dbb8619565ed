// Gradient of an f32 convolution by its input, from the same tiled weights as the forward pass.
//
//   input_gradient[p, c] = sum_{ky, kx, o} gradient[(p + pad - (ky, kx) * dilation) / stride, o] * weight[o, ky, kx, c]
//   over the taps whose quotient is whole and inside the output
//
// buffer          shape                                       dtype
// gradient        batch, out_height, out_width, out_vectors   vec4f, padded lanes zero
// weights         tile, ky, kx, channel, 4                    vec4f: sixteen output channels a tile, as conv2d reads them
// input_gradient  batch, height, width, input_vectors         vec4f, padded lanes written as zero
//
// One thread computes TILE_PIXELS pixels x 8 input channels in registers; one workgroup shares the channels, so the
// weight loads are uniform in it, and each vector of the gradient meets 8 channels: 32 multiply-adds a load. lavapipe
// loads lane by lane all the same: with subgroups, conv2d-input-gradient-broadcast takes over.
// Sums run over ky, kx, o in this order on every adapter; WGSL leaves f32 fusing open. One group only: a grouped
// convolution is rewritten as a dense one first.

const TILE_PIXELS: u32 = 16u;
const TILE_VECTORS: u32 = 2u;
override WORKGROUP_SIZE: u32 = 32u;

fn multiply(sums: ptr<function, Sums>, window: ptr<function, Window>, step: u32, at: u32, lane: u32) {
  let near = mat4x4f(weights[at], weights[at + 4u], weights[at + 8u], weights[at + 12u]);
  let far = mat4x4f(weights[at + 16u], weights[at + 20u], weights[at + 24u], weights[at + 28u]);
  for (var i = 0u; i < TILE_PIXELS; i++) {
    let d = load_input(window.base[i] + step, window.inside[i]);
    sums[i * TILE_VECTORS] += d * near;
    sums[i * TILE_VECTORS + 1u] += d * far;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  gather(workgroup.x + workgroup.y * count.x, local, 0u);
}
