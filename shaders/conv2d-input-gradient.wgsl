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
override WORKGROUP_SIZE: u32 = 32u;

struct Params {
  input_height: u32,
  input_width: u32,
  input_channels: u32,
  output_height: u32,
  output_width: u32,
  output_vectors: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
  pixel_count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

fn real_lanes(channel: u32) -> vec4f {
  let lanes = vec4u(channel, channel + 1u, channel + 2u, channel + 3u);
  return select(vec4f(0.0), vec4f(1.0), lanes < vec4u(params.input_channels));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let input_vectors = (params.input_channels + 3u) / 4u;
  let blocks = (params.pixel_count + TILE_PIXELS * WORKGROUP_SIZE - 1u) / (TILE_PIXELS * WORKGROUP_SIZE);
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / blocks;
  if (tile * 2u >= input_vectors) {
    return;
  }
  let first = ((linear % blocks) * WORKGROUP_SIZE + local) * TILE_PIXELS;

  var images = array<u32, TILE_PIXELS>();
  var rows = array<i32, TILE_PIXELS>();
  var columns = array<i32, TILE_PIXELS>();
  for (var i = 0u; i < TILE_PIXELS; i++) {
    let pixel = select(0u, first + i, first + i < params.pixel_count);
    columns[i] = i32(pixel % params.input_width + params.pad_left);
    rows[i] = i32((pixel / params.input_width) % params.input_height + params.pad_top);
    images[i] = pixel / (params.input_width * params.input_height) * params.output_height;
  }
  var near = array<vec4f, TILE_PIXELS>();
  var far = array<vec4f, TILE_PIXELS>();
  let taps = params.kernel_height * params.kernel_width;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var base = array<u32, TILE_PIXELS>();
      var inside = array<f32, TILE_PIXELS>();
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let down = rows[i] - i32(ky * params.dilation_height);
        let right = columns[i] - i32(kx * params.dilation_width);
        let y = u32(max(down, 0)) / params.stride_height;
        let x = u32(max(right, 0)) / params.stride_width;
        let whole = y * params.stride_height == u32(down) && x * params.stride_width == u32(right);
        let valid = down >= 0 && right >= 0 && whole && y < params.output_height && x < params.output_width;
        let offset = ((images[i] + y) * params.output_width + x) * params.output_vectors;
        base[i] = select(0u, offset, valid);
        inside[i] = select(0.0, 1.0, valid);
      }
      for (var vector = 0u; vector < params.output_vectors; vector++) {
        let row = ((vector >> 2u) * taps + ky * params.kernel_width + kx) * input_vectors * 4u + tile * 8u;
        let at = row * 4u + (vector & 3u);
        let a = mat4x4f(weights[at], weights[at + 4u], weights[at + 8u], weights[at + 12u]);
        let b = mat4x4f(weights[at + 16u], weights[at + 20u], weights[at + 24u], weights[at + 28u]);
        for (var i = 0u; i < TILE_PIXELS; i++) {
          let d = select(vec4f(), gradient[base[i] + vector], inside[i] > 0.0);
          near[i] += d * a;
          far[i] += d * b;
        }
      }
    }
  }

  let vector = tile * 2u;
  let near_lanes = real_lanes(tile * 8u);
  let far_lanes = real_lanes(tile * 8u + 4u);
  for (var i = 0u; i < TILE_PIXELS; i++) {
    if (first + i < params.pixel_count) {
      let at = (first + i) * input_vectors + vector;
      input_gradient[at] = select(vec4f(), near[i], near_lanes > vec4f());
      if (vector + 1u < input_vectors) {
        input_gradient[at + 1u] = select(vec4f(), far[i], far_lanes > vec4f());
      }
    }
  }
}
