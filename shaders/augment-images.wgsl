// Shifts and mirrors each image of a batch, and loads its pixels as floats: random crop with zero padding, and flip.
//
//   output[n, y, x, c] = input[n, y + down, (flip ? width - 1 - x : x) + right, c] / 255, zero outside the image
//
// buffer      shape                           dtype
// input       batch, height, width, channels  u8, four a u32, the first in bits 0-7
// placements  batch                           u32: down + 128 in bits 0-7, right + 128 in bits 8-15, flip in bit 16
// output      batch, height, width, vectors   vec4f: channels padded to vectors with zeros
//
// One thread makes four channels of one pixel; channels past the last are 0. The host draws the placements, so that a
// seed gives the same images on every adapter.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  batch: u32,
  height: u32,
  width: u32,
  channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> placements: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vectors = (params.channels + 3u) / 4u;
  if (index >= params.batch * params.height * params.width * vectors) {
    return;
  }
  let pixel = index / vectors;
  let channel = (index % vectors) * 4u;
  let image = pixel / (params.height * params.width);
  let placement = placements[image];
  let column = pixel % params.width;
  let mirrored = select(column, params.width - 1u - column, ((placement >> 16u) & 1u) == 1u);
  let y = i32((pixel / params.width) % params.height) + i32(placement & 255u) - 128;
  let x = i32(mirrored) + i32((placement >> 8u) & 255u) - 128;
  var value = vec4f();
  if (y >= 0 && x >= 0 && y < i32(params.height) && x < i32(params.width)) {
    let first = ((image * params.height + u32(y)) * params.width + u32(x)) * params.channels + channel;
    for (var c = 0u; c < min(4u, params.channels - channel); c++) {
      let at = first + c;
      value[c] = f32((input[at >> 2u] >> ((at & 3u) * 8u)) & 255u) / 255.0;
    }
  }
  output[index] = value;
}
