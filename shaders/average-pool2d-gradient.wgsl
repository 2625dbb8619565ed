// Gradient of average pooling by its input.
//
//   input_gradient[cell] = sum over windows that hold the cell of gradient[window] / cells inside the image
//
// buffer          shape                                                  dtype
// gradient        batch, output_height, output_width, channel_vectors    vec4f
// input_gradient  batch, height, width, channel_vectors                  vec4f
//
// One thread gathers one input vector's windows in order: no atomics, the same bits in every run. Padding is not
// counted.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input_gradient: array<vec4f>;

// How many of a window's cells along one axis lie inside the image; `begin` counts from the padded edge.
fn inside(begin: u32, size: u32, pad: u32, extent: u32) -> u32 {
  return min(begin + size, pad + extent) - max(begin, pad);
}

fn share(cell: Cell, ky: u32, kx: u32, value: vec4f, gradient: vec4f) -> vec4f {
  let cells = inside(cell.y - ky, params.kernel_height, params.pad_top, params.height)
    * inside(cell.x - kx, params.kernel_width, params.pad_left, params.width);
  return gradient / f32(cells);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let cell = cell_of((workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane);
  if (cell.image < params.batch) {
    input_gradient[cell.index] = gather(cell, vec4f());
  }
}
