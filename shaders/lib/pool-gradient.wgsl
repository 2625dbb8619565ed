// The frame of the gradients of pools by their input: which cell a thread has, and the windows that hold it, in order.
// Needs lib/covering-window.wgsl and of the kernel: binding gradient, and
//
//   fn share(cell: Cell, ky: u32, kx: u32, value: vec4f, gradient: vec4f) -> vec4f
//                                  what a window in which the cell is tap (ky, kx), and worth `value`, leaves to it

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

/// A vector of an input pixel, in row y and column x counted from where the padding begins.
struct Cell {
  index: u32,
  image: u32,
  y: u32,
  x: u32,
  vector: u32,
}

fn cell_of(index: u32) -> Cell {
  let pixel = index / params.channel_vectors;
  let x = pixel % params.width;
  let y = (pixel / params.width) % params.height;
  let image = pixel / (params.width * params.height);
  return Cell(index, image, y + params.pad_top, x + params.pad_left, index % params.channel_vectors);
}

fn gather(cell: Cell, value: vec4f) -> vec4f {
  var sum = vec4f();
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let row = window_over(cell.y, ky, params.stride_height, params.output_height);
    if (row == NONE) {
      continue;
    }
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let column = window_over(cell.x, kx, params.stride_width, params.output_width);
      if (column == NONE) {
        continue;
      }
      let window = (cell.image * params.output_height + row) * params.output_width + column;
      sum += share(cell, ky, kx, value, gradient[window * params.channel_vectors + cell.vector]);
    }
  }
  return sum;
}
