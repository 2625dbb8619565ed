// The frame of the pools over images: which window a thread has, and the walk over its cells, row by row. Needs of the
// kernel: params of a pool, binding input, alias State, what is known of a window so far, and
//
//   fn take(state: ptr<function, State>, at: u32)                    a cell inside the image: input[at]
//   fn take_outside(state: ptr<function, State>, y: i32, x: i32)     a cell outside it

struct Window {
  image: u32,
  vector: u32,
  top: i32,
  left: i32,
}

/// `vectors` of a pixel are threads that follow one another.
fn window_of(index: u32, vectors: u32) -> Window {
  let pixel = index / vectors;
  let left = i32((pixel % params.output_width) * params.stride_width) - i32(params.pad_left);
  let row = pixel / params.output_width;
  let top = i32((row % params.output_height) * params.stride_height) - i32(params.pad_top);
  return Window(row / params.output_height, index % vectors, top, left);
}

fn walk(window: Window, vectors: u32, start: State) -> State {
  var state = start;
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = window.top + i32(ky * params.dilation_height);
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let x = window.left + i32(kx * params.dilation_width);
      if (y >= 0 && y < i32(params.height) && x >= 0 && x < i32(params.width)) {
        take(&state, ((window.image * params.height + u32(y)) * params.width + u32(x)) * vectors + window.vector);
      } else {
        take_outside(&state, y, x);
      }
    }
  }
  return state;
}
