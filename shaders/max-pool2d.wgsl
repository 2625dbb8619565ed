// Takes the largest f32 value in each window of an NHWC tensor.
//
//   output[n, y, x, c] = max over ky, kx of input[n, y * stride - pad_top + ky * dilation, x * ... + kx * ..., c]
//
// buffer  shape                                                  dtype
// input   batch, height, width, channel_vectors                  vec4f; channels padded to a multiple of 4
// output  batch, output_height, output_width, channel_vectors    vec4f
//
// One thread makes one output vector: the same window of 4 channels. Neighbouring threads take neighbouring vectors
// of one pixel, so loads are coalesced; windows that overlap are served by the cache.
//
// Cells outside the image never win. A window with no cell inside gives the lowest finite f32. There is no rounding,
// but an adapter may flush subnormals and return either zero of -0 and +0. A window with a NaN gives a NaN
// (lib/keep-nan.wgsl).

override WORKGROUP_SIZE: u32 = 64u;

const LOWEST = -0x1.fffffep+127f;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channel_vectors: u32,
  output_height: u32,
  output_width: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vector = index % params.channel_vectors;
  var pixel = index / params.channel_vectors;
  let left = i32((pixel % params.output_width) * params.stride_width) - i32(params.pad_left);
  pixel /= params.output_width;
  let top = i32((pixel % params.output_height) * params.stride_height) - i32(params.pad_top);
  let image = pixel / params.output_height;
  if (image >= params.batch) {
    return;
  }
  var largest = vec4f(LOWEST);
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = top + i32(ky * params.dilation_height);
    if (y < 0 || y >= i32(params.height)) {
      continue;
    }
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let x = left + i32(kx * params.dilation_width);
      if (x < 0 || x >= i32(params.width)) {
        continue;
      }
      let at = ((image * params.height + u32(y)) * params.width + u32(x)) * params.channel_vectors + vector;
      largest = max_or_nan(largest, input[at]);
    }
  }
  output[index] = largest;
}
