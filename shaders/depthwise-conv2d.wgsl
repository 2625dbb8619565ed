// f32 convolution of each channel by its own filter, with affine epilogue, clamp and 2x2 max-pool as conv2d has them.
//
//   sum[p, c] = sum over ky, kx of input[p * stride + (ky, kx) * dilation - pad, c / MULTIPLIER] * weight[c, ky, kx]
//   out[p, c] = max over the pool window of clamp(sum[p, c] * scale[c] + shift[c], low, high)
//
// buffer       shape                                        dtype
// input        batch, height, width, input_vectors          vec4f, channels padded to 4 with zeros
// weights      tile, ky, kx, 4                              vec4f: sixteen channels a tile
// scale,shift  tile x 4                                     vec4f
// output       batch, out_height, out_width, output_vectors vec4f
//
// One thread makes one vector of four pixels (lib/depthwise.wgsl). Sums run over ky, kx in order; padding counts as
// zero. A NaN stays in its channel. group_vectors, group_tiles and tile_count are conv2d's and unread here.

override WORKGROUP_SIZE: u32 = 64u;
alias Cells = vec4f;

fn find_row(strip: Strip, y: i32) -> Row {
  return row_of(strip, y, params.input_vectors);
}

fn load_input(row: Row, x: i32) -> vec4f {
  let inside = u32(x) < row.width;
  return select(vec4f(), input[select(0u, row.base + u32(x) * params.input_vectors, inside)], inside);
}

fn load_filter(at: u32) -> vec4f {
  return weights[at];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vectors = params.output_vectors;
  if (thread >= strip_count() * vectors) {
    return;
  }
  let strip = strip_of(thread, vectors);
  let sums = convolve(strip);
  let factor = scale[strip.vector];
  let offset = shift[strip.vector];
  let r0 = clamp_or_nan(sums.s0 * factor + offset, params.low, params.high);
  let r1 = clamp_or_nan(sums.s1 * factor + offset, params.low, params.high);
  let r2 = clamp_or_nan(sums.s2 * factor + offset, params.low, params.high);
  let r3 = clamp_or_nan(sums.s3 * factor + offset, params.low, params.high);
  if (params.pool == 1u) {
    output[thread] = max_or_nan(max_or_nan(r0, r1), max_or_nan(r2, r3));
    return;
  }
  let row = (strip.image * params.output_height + strip.y) * params.output_width;
  let at = (row + strip.x) * vectors + strip.vector;
  output[at] = r0;
  if (strip.x + 1u < params.output_width) {
    output[at + vectors] = r1;
  }
  if (strip.x + 2u < params.output_width) {
    output[at + 2u * vectors] = r2;
  }
  if (strip.x + 3u < params.output_width) {
    output[at + 3u * vectors] = r3;
  }
}
