// int8 convolution of each channel by its own filter: int32 accumulation, then bias, clamp, 2x2 max-pool and
// requantization, with the bits that conv2d-int8 has for the same convolution made dense with zeros.
//
//   acc[p, c] = bias[c] + sum_{ky,kx} input[p * stride + (ky, kx) * dilation - pad, c / MULTIPLIER] * weight[c, ky, kx]
//   out[p, c] = requantize(max over the pool window of acc)            (requantize is monotone, so max first is exact)
//
// Zero points as in conv2d-int8: the input's is folded into the bias, and padding supplies it through params.pad_word.
//
// buffer      shape                                   dtype
// input       batch, height, width, input_words       4 int8 channels a u32, channel 4w at bits 0..7 of word w
// weights     tile, ky, kx, 4                         4 int8 channels a u32, as the input: sixteen channels a tile
// bias        tile x 4                                vec4i
// multipliers tile x 16                               vec2u a channel (lib/requantize.wgsl); .x f32 scale for OUTPUT 2
// output      batch, out_height, out_width, words     as the input (OUTPUT 0), or one i32/f32 a channel (OUTPUT 1/2)
//
// One thread makes one vector of four pixels (lib/depthwise.wgsl). There is no dot4I8Packed: the four products of two
// words go to four sums. group_words, group_tiles and tile_count are conv2d-int8's and unread here.

const OUTPUT: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;
alias Loaded = u32;
alias Cells = vec4i;

fn find_row(strip: Strip, y: i32) -> Row {
  return row_of(strip, y, params.input_words);
}

fn load_input(row: Row, x: i32) -> vec4i {
  let inside = u32(x) < row.width;
  let word = input[select(0u, row.base + u32(x) * params.input_words, inside)];
  return unpack4xI8(select(params.pad_word, word, inside));
}

fn load_filter(at: u32) -> vec4i {
  return unpack4xI8(weights[at]);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vectors = select((params.output_words + 3u) / 4u, params.output_words, OUTPUT == 0u);
  if (thread >= strip_count() * vectors) {
    return;
  }
  let strip = strip_of(thread, vectors);
  let sums = convolve(strip);
  let offset = bias[strip.vector];
  let scales = load_multipliers(strip.vector);
  if (params.pool == 1u) {
    let largest = max(max(sums.s0, sums.s1), max(sums.s2, sums.s3));
    store_scaled(thread / vectors, strip.vector, largest + offset, scales);
    return;
  }
  let pixel = (strip.image * params.output_height + strip.y) * params.output_width + strip.x;
  store_scaled(pixel, strip.vector, sums.s0 + offset, scales);
  if (strip.x + 1u < params.output_width) {
    store_scaled(pixel + 1u, strip.vector, sums.s1 + offset, scales);
  }
  if (strip.x + 2u < params.output_width) {
    store_scaled(pixel + 2u, strip.vector, sums.s2 + offset, scales);
  }
  if (strip.x + 3u < params.output_width) {
    store_scaled(pixel + 3u, strip.vector, sums.s3 + offset, scales);
  }
}
