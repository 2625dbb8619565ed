// Gradient of max pooling by its input.
//
//   input_gradient[cell] = sum over windows that hold the cell, and whose largest it is, of gradient[window]
//   The first of equal cells, row by row, is the largest, as in PyTorch.
//
// buffer          shape                                                  dtype
// input           batch, height, width, channel_vectors                  vec4f, what the pool read
// gradient        batch, output_height, output_width, channel_vectors    vec4f
// input_gradient  batch, height, width, channel_vectors                  vec4f
//
// One thread gathers one input vector's windows in order: no atomics, the same bits in every run. The winners are
// found again from the input, which costs window^2 loads a cell and saves storing them.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

// Which lanes of the window in which the cell is tap (ky, kx) hold something better than `mine`.
fn is_beaten(cell: Cell, ky: u32, kx: u32, mine: vec4f) -> vec4<bool> {
  let tap = ky * params.kernel_width + kx;
  var beaten = vec4<bool>();
  for (var other = 0u; other < params.kernel_height * params.kernel_width; other++) {
    let y = i32(cell.y - ky + other / params.kernel_width) - i32(params.pad_top);
    let x = i32(cell.x - kx + other % params.kernel_width) - i32(params.pad_left);
    if (y < 0 || x < 0 || y >= i32(params.height) || x >= i32(params.width)) {
      continue;
    }
    let at = ((cell.image * params.height + u32(y)) * params.width + u32(x)) * params.channel_vectors + cell.vector;
    let value = input[at];
    beaten = beaten | (value > mine) | ((value == mine) & vec4<bool>(other < tap));
  }
  return beaten;
}

fn share(cell: Cell, ky: u32, kx: u32, value: vec4f, gradient: vec4f) -> vec4f {
  return select(gradient, vec4f(), is_beaten(cell, ky, kx, value));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let cell = cell_of((workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane);
  if (cell.image < params.batch) {
    input_gradient[cell.index] = gather(cell, input[cell.index]);
  }
}
