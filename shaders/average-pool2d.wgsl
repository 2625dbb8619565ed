// Averages the f32 values in each window of an NHWC tensor.
//
//   output[n, y, x, c] = (sum over ky, kx of input[n, y * stride - pad_top + ky * dilation, x * ... + kx * ..., c]) / cells
//
// buffer  shape                                                  dtype
// input   batch, height, width, channel_vectors                  vec4f; channels padded to a multiple of 4
// output  batch, output_height, output_width, channel_vectors    vec4f
//
// cells counts the window's cells inside the image, or with include_pad 1 also those inside its padding (never those
// that ceil mode hangs over the padded edge). A window with no cell gives 0.
// One thread makes one output vector: the same window of 4 channels, summed row by row. Neighbouring threads take
// neighbouring vectors of one pixel, so loads are coalesced; windows that overlap are served by the cache.
//
// Rounding: one f32 addition a cell in a fixed order and one division, each rounded as the adapter does it (WGSL
// allows `/` 2.5 ULP), so results differ between adapters by about cells ULP of the largest partial sum.

override WORKGROUP_SIZE: u32 = 64u;

struct State {
  sum: vec4f,
  cells: u32,
}

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
  pad_bottom: u32,
  pad_right: u32,
  include_pad: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;

fn take(state: ptr<function, State>, at: u32) {
  state.sum += input[at];
  state.cells++;
}

fn take_outside(state: ptr<function, State>, y: i32, x: i32) {
  if (y < i32(params.height + params.pad_bottom) && x < i32(params.width + params.pad_right)) {
    state.cells += params.include_pad;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let window = window_of(index, params.channel_vectors);
  if (window.image < params.batch) {
    let state = walk(window, params.channel_vectors, State());
    output[index] = state.sum / f32(max(state.cells, 1u));
  }
}
