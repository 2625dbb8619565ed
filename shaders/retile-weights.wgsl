// Moves a convolution's weights from tiles of sixteen output channels to the tiles of a workgroup-tiled convolution: of
// the convolution itself, or, with SWAP 1, of the one that its input gradient is at stride 1.
//
//   SWAP 0: retiled[o, ky, kx, c] = weights[o, ky, kx, c]
//   SWAP 1: retiled[c, ky, kx, o] = weights[o, kernel_height - 1 - ky, kernel_width - 1 - kx, c]
//
// buffer   shape                                              dtype
// weights  tile, tap, input_channels to 4, 4                  vec4f: sixteen output channels a tile, as conv2d reads them
// retiled  tile, tap, channel to 4, TILE_VECTORS              vec4f: o (SWAP 1: c) by tiles, c (SWAP 1: o) by rows
//
// One thread moves a block of four channels by four; neighbours write neighbouring vectors. Taps are reversed as a whole:
// the last of the one is the first of the other. What pads channels and tiles is written as zero, whatever it was.

const SWAP: u32 = 0u;
const TILE_VECTORS: u32 = 16u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  taps: u32,
  input_channels: u32,
  output_channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> retiled: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let input_vectors = (params.input_channels + 3u) / 4u;
  let output_vectors = (params.output_channels + 3u) / 4u;
  let rows = select(input_vectors, output_vectors, SWAP == 1u);
  let columns = select(output_vectors, input_vectors, SWAP == 1u);
  let row = (index / TILE_VECTORS) % rows;
  let tap = (index / (TILE_VECTORS * rows)) % params.taps;
  let tile = index / (TILE_VECTORS * rows * params.taps);
  if (tile * TILE_VECTORS >= columns) {
    return;
  }
  let column = tile * TILE_VECTORS + index % TILE_VECTORS;
  let inputs = select(row, column, SWAP == 1u);
  let outputs = select(column, row, SWAP == 1u);
  let source = select(tap, params.taps - 1u - tap, SWAP == 1u);
  let base = (((outputs / 4u) * params.taps + source) * input_vectors + inputs) * 16u + outputs % 4u;
  let real = outputs * 4u + vec4u(0u, 1u, 2u, 3u) < vec4u(params.output_channels);
  var block: mat4x4f;
  for (var i = 0u; i < 4u; i++) {
    let inside = inputs * 4u + i < params.input_channels && column < columns;
    let vector = weights[select(0u, base + i * 4u, inside)];
    block[i] = select(vec4f(), vector, real & vec4<bool>(inside));
  }
  if (SWAP == 1u) {
    block = transpose(block);
  }
  let to = ((tile * params.taps + tap) * rows + row) * 4u * TILE_VECTORS + index % TILE_VECTORS;
  for (var i = 0u; i < 4u; i++) {
    retiled[to + i * TILE_VECTORS] = block[i];
  }
}
