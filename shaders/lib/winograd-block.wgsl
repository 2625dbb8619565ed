// Where a thread of a Winograd convolution works: a block of two rows of four outputs, and the six columns and two rows
// of its input under them. Kernels are three wide, strides and dilations of columns 1. Needs params.{input_height,
// input_width, output_height, output_width, kernel_height, dilation_height, pad_top, pad_left}.

struct Block {
  image: u32,
  y: u32,
  x: u32,
}

/// Loads of a row's columns, and which of them are no padding.
struct Columns {
  at: array<u32, 6>,
  inside: array<bool, 6>,
}

/// Loads at which two rows begin, and which of them are no padding.
struct Rows {
  at: array<u32, 2>,
  inside: array<bool, 2>,
}

/// Block `index` of images of `down` x `across` blocks.
fn block_at(index: u32, down: u32, across: u32) -> Block {
  return Block(index / across / down, (index / across % down) * 2u, (index % across) * 4u);
}

/// `loads` a pixel, from load `first` on.
fn columns_under(block: Block, first: u32, loads: u32) -> Columns {
  var columns: Columns;
  for (var c = 0u; c < 6u; c++) {
    let x = i32(block.x + c) - i32(params.pad_left);
    columns.inside[c] = x >= 0 && x < i32(params.input_width);
    columns.at[c] = first + select(0u, u32(x) * loads, columns.inside[c]);
  }
  return columns;
}

fn rows_under(block: Block, ky: u32, loads: u32) -> Rows {
  var rows: Rows;
  for (var r = 0u; r < 2u; r++) {
    let y = i32(block.y + r + ky * params.dilation_height) - i32(params.pad_top);
    rows.inside[r] = y >= 0 && y < i32(params.input_height);
    rows.at[r] = (block.image * params.input_height + select(0u, u32(y), rows.inside[r])) * params.input_width * loads;
  }
  return rows;
}
