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
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> input_gradient: array<vec4f>;

// How many of a window's cells along one axis lie inside the image; `begin` counts from the padded edge.
fn inside(begin: u32, size: u32, pad: u32, extent: u32) -> u32 {
  return min(begin + size, pad + extent) - max(begin, pad);
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
      let cells = inside(u32(down), params.kernel_height, params.pad_top, params.height)
        * inside(u32(right), params.kernel_width, params.pad_left, params.width);
      sum += gradient[window + vector] / f32(cells);
    }
  }
  input_gradient[index] = sum;
}
