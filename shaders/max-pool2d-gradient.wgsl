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
  pad_top: u32,
  pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

// Which lanes of the window that begins at (top, left) of the padded image hold something better than `mine`.
fn is_beaten(image: u32, vector: u32, top: u32, left: u32, tap: u32, mine: vec4f) -> vec4<bool> {
  var beaten = vec4<bool>();
  for (var other = 0u; other < params.kernel_height * params.kernel_width; other++) {
    let y = i32(top + other / params.kernel_width) - i32(params.pad_top);
    let x = i32(left + other % params.kernel_width) - i32(params.pad_left);
    if (y < 0 || x < 0 || y >= i32(params.height) || x >= i32(params.width)) {
      continue;
    }
    let at = ((image * params.height + u32(y)) * params.width + u32(x)) * params.channel_vectors + vector;
    let cell = input[at];
    beaten = beaten | (cell > mine) | ((cell == mine) & vec4<bool>(other < tap));
  }
  return beaten;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vector = index % params.channel_vectors;
  let pixel = index / params.channel_vectors;
  let x = pixel % params.width;
  let y = (pixel / params.width) % params.height;
  let image = pixel / (params.width * params.height);
  if (image >= params.batch) {
    return;
  }
  let mine = input[index];
  var sum = vec4f();
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let down = i32(y + params.pad_top) - i32(ky);
    let row = u32(max(down, 0)) / params.stride_height;
    if (down < 0 || row * params.stride_height != u32(down) || row >= params.output_height) {
      continue;
    }
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let right = i32(x + params.pad_left) - i32(kx);
      let column = u32(max(right, 0)) / params.stride_width;
      if (right < 0 || column * params.stride_width != u32(right) || column >= params.output_width) {
        continue;
      }
      let window = ((image * params.output_height + row) * params.output_width + column) * params.channel_vectors;
      let beaten = is_beaten(image, vector, u32(down), u32(right), ky * params.kernel_width + kx, mine);
      sum += select(gradient[window + vector], vec4f(), beaten);
    }
  }
  input_gradient[index] = sum;
}
