// conv2d-filter-gradient for adapters that are a CPU and have subgroups: the same buffers and formula, the gradient
// loaded once a subgroup and broadcast (lib/subgroup-broadcast.wgsl).
//
//   partial[s, o, ky, kx, c] = sum over pixels p of split s of
//     gradient[p, o] * input[p * stride + (ky, kx) * dilation - pad, c]
//   weight_gradient = sum over s of partial[s], by sum-splits, in order: the same bits in every run
//
// buffer    shape                                       dtype
// input     batch, height, width, input_vectors         vec4f, padded lanes zero
// gradient  batch, out_height, out_width, out_vectors   vec4f, padded lanes zero
// partial   split, tile, ky, kx, channel, 4             vec4f: sixteen output channels a tile, as conv2d reads weights
//
// Split s takes pixels s * chunk to (s + 1) * chunk, four at a time. One thread keeps 4 input x (4 * TILE_VECTORS)
// output channels of one tap in registers, and its subgroup the same output channels of other taps and input channels:
// a load of the gradient is LANES / 4 vectors of output channels for each of the four pixels, and the lane that loads
// for a pixel also keeps where it lies.
// For 512 multiply-adds conv2d-filter-gradient loads 32 vec4, here 8: on lavapipe each costs the same, uniform or not.
// Against it, same run, 3x3 x 128 x 128 and 512 x 512: 1.7 times the speed at 4 input x 32 output channels. Tried and
// slower: 8 x 32, 4 x 16 and 4 x 64, and eight pixels an iteration, whose code is larger than the instruction cache.
// Padded lanes come out zero, as their inputs are; pixels past the split's end count as zeros. Sums run over pixels in
// order. One group only.

override WORKGROUP_SIZE: u32 = 8u;
// Input channels by pixels, and what they add to.
alias Loads = mat4x4f;
alias Sums = array<vec4f, 4u * TILE_VECTORS>;

// The input at row y and column x; one above the first is past the last, in u32.
fn load_input(at: u32, y: u32, x: u32) -> vec4f {
  let inside = y < params.input_height && x < params.input_width;
  return select(vec4f(), input[select(0u, at, inside)], inside);
}

// Adds the products of four pixels, of which each of b0 to b3 is the gradient of one.
fn multiply_vector(sums: ptr<function, Sums>, a: ptr<function, Loads>, v: u32, b0: vec4f, b1: vec4f, b2: vec4f,
  b3: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    var sum = sums[i * TILE_VECTORS + v];
    sum += a[0][i] * b0;
    sum += a[1][i] * b1;
    sum += a[2][i] * b2;
    sum += a[3][i] * b3;
    sums[i * TILE_VECTORS + v] = sum;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let taps = params.kernel_height * params.kernel_width;
  let items = taps * params.input_vectors;
  let blocks = (items + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let padded_vectors = (params.output_vectors + 3u) / 4u * 4u;
  let tiles = (padded_vectors + TILE_VECTORS - 1u) / TILE_VECTORS;
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = (linear / blocks) % tiles;
  let split = linear / (blocks * tiles);
  let begin = split * params.chunk;
  if (begin >= params.pixel_count) {
    return;
  }
  let end = min(begin + params.chunk, params.pixel_count);
  // Threads past the last item stay, since their subgroup needs what they load; they store nothing.
  let own = (linear % blocks) * WORKGROUP_SIZE + local;
  let item = min(own, items - 1u);
  let tap = item / params.input_vectors;
  let vector = item % params.input_vectors;
  let down = (tap / params.kernel_width) * params.dilation_height - params.pad_top;
  let right = (tap % params.kernel_width) * params.dilation_width - params.pad_left;
  let offset = (down * params.input_width + right) * params.input_vectors + vector;

  let loaded_pixel = lane % 4u;
  let loaded_vector = tile * TILE_VECTORS + lane % LANES / 4u;
  var column = (begin + loaded_pixel) % params.output_width;
  var row = ((begin + loaded_pixel) / params.output_width) % params.output_height;
  var image = (begin + loaded_pixel) / (params.output_width * params.output_height);
  var sums: Sums;

  for (var pixel = begin; pixel < end; pixel += 4u) {
    var w: Shared;
    for (var load = 0u; load < LOADS; load++) {
      let v = loaded_vector + load * QUADS;
      let wanted = pixel + loaded_pixel < end && v < params.output_vectors;
      let index = (pixel + loaded_pixel) * params.output_vectors + v;
      w[load] = select(vec4f(), gradient[select(0u, index, wanted)], wanted);
    }
    // No tap of a pixel past the end is inside.
    let y = select(0x80000000u, row * params.stride_height, pixel + loaded_pixel < end);
    let x = column * params.stride_width;
    let at = ((image * params.input_height + y) * params.input_width + x) * params.input_vectors;
    var a: mat4x4f;
    a[0] = load_input(subgroupBroadcast(at, 0u) + offset, subgroupBroadcast(y, 0u) + down,
      subgroupBroadcast(x, 0u) + right);
    a[1] = load_input(subgroupBroadcast(at, 1u) + offset, subgroupBroadcast(y, 1u) + down,
      subgroupBroadcast(x, 1u) + right);
    a[2] = load_input(subgroupBroadcast(at, 2u) + offset, subgroupBroadcast(y, 2u) + down,
      subgroupBroadcast(x, 2u) + right);
    a[3] = load_input(subgroupBroadcast(at, 3u) + offset, subgroupBroadcast(y, 3u) + down,
      subgroupBroadcast(x, 3u) + right);
    multiply_vectors(&sums, &a, &w);
    column += 4u;
    while (column >= params.output_width) {
      column -= params.output_width;
      row++;
      if (row == params.output_height) {
        row = 0u;
        image++;
      }
    }
  }

  if (own < items) {
    for (var v = 0u; v < TILE_VECTORS; v++) {
      let o = tile * TILE_VECTORS + v;
      if (o < padded_vectors) {
        let channel = ((split * (padded_vectors / 4u) + o / 4u) * taps + tap) * params.input_vectors * 4u + vector * 4u;
        for (var i = 0u; i < 4u; i++) {
          partial[(channel + i) * 4u + o % 4u] = sums[i * TILE_VECTORS + v];
        }
      }
    }
  }
}
