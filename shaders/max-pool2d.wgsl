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
// Cells outside the image never win. A window with no cell inside gives -infinity. There is no rounding,
// but an adapter may flush subnormals and return either zero of -0 and +0. A window with a NaN gives a NaN
// (lib/keep-nan.wgsl).

override WORKGROUP_SIZE: u32 = 64u;

alias State = vec4f;

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

fn take(largest: ptr<function, vec4f>, at: u32) {
  *largest = max_or_nan(*largest, input[at]);
}

fn take_outside(largest: ptr<function, vec4f>, y: i32, x: i32) {}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let window = window_of(index, params.channel_vectors);
  if (window.image < params.batch) {
    // An infinity, which WGSL takes only from what is not known while it compiles.
    var lowest = 0xff800000u;
    output[index] = walk(window, params.channel_vectors, vec4f(bitcast<f32>(lowest)));
  }
}
