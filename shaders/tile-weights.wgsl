// Reorders a filter between TensorFlow's order, HWIO, and the tiles that the convolution kernels read; and back.
//
//   tiled[tile, tap, c, n] = filter[tap, c, 16 * tile + n], zero where c or 16 * tile + n is padding
//
// buffer   shape                                        dtype
// input    taps, input_channels, output_channels        f32 (BACK 1: as output)
// output   tile, taps, input_channels to 4, 16          f32 (BACK 1: as input)
//
// One thread moves one element of the tiled order. With BACK 1 the padding is left behind.

const BACK: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  taps: u32,
  input_channels: u32,
  output_channels: u32,
}

const TILE_CHANNELS: u32 = 16u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let padded = (params.input_channels + 3u) / 4u * 4u;
  let row = index / TILE_CHANNELS;
  let c = row % padded;
  let tap = (row / padded) % params.taps;
  let tile = row / (padded * params.taps);
  if (tile * TILE_CHANNELS >= params.output_channels) {
    return;
  }
  let o = tile * TILE_CHANNELS + index % TILE_CHANNELS;
  let real = c < params.input_channels && o < params.output_channels;
  let at = (tap * params.input_channels + c) * params.output_channels + o;
  if (BACK == 0u) {
    output[index] = select(0.0, input[select(0u, at, real)], real);
  } else if (real) {
    output[at] = input[index];
  }
}
