// Gradient of an f32 convolution by its weights, in split sums over the pixels and in the weights' tiled order.
//
//   partial[s, o, ky, kx, c] = sum over pixels p of split s of gradient[p, o] * input[p * stride + (ky, kx) * dilation - pad, c]
//   weight_gradient = sum over s of partial[s], by sum-splits, in order: the same bits in every run
//
// buffer    shape                                       dtype
// input     batch, height, width, input_vectors         vec4f, padded lanes zero
// gradient  batch, out_height, out_width, out_vectors   vec4f, padded lanes zero
// partial   split, tile, ky, kx, channel, 4             vec4f: sixteen output channels a tile, as conv2d reads weights
//
// A matrix product of 9 * channels x channels with a long inner dimension, the batch's pixels, so it is split along
// it; split s takes pixels s * chunk to (s + 1) * chunk. One thread keeps 8 input x 8 output (half a tile's) channels of
// one tap in registers: 64 multiply-adds for four loads. Lanes are taps and input channels; the gradient's loads are
// uniform, which lavapipe does lane by lane all the same: with subgroups, conv2d-filter-gradient-broadcast takes over.
// Padded lanes come out zero, as their inputs are. Sums run over pixels in order. One group only.

override WORKGROUP_SIZE: u32 = 32u;

fn outer(a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let taps = params.kernel_height * params.kernel_width;
  let pairs = (params.input_vectors + 1u) / 2u;
  let blocks = (taps * pairs + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
  let tiles = (params.output_vectors + 3u) / 4u * 2u;
  let linear = workgroup.x + workgroup.y * count.x;
  let item = (linear % blocks) * WORKGROUP_SIZE + local;
  let tile = (linear / blocks) % tiles;
  let split = linear / (blocks * tiles);
  let begin = split * params.chunk;
  if (item >= taps * pairs || begin >= params.pixel_count) {
    return;
  }
  let tap = item / pairs;
  let vector = (item % pairs) * 2u;
  let has_far = vector + 1u < params.input_vectors;
  let has_low = tile * 2u < params.output_vectors;
  let has_high = tile * 2u + 1u < params.output_vectors;
  let down = i32((tap / params.kernel_width) * params.dilation_height) - i32(params.pad_top);
  let right = i32((tap % params.kernel_width) * params.dilation_width) - i32(params.pad_left);

  var near_low = mat4x4f();
  var near_high = mat4x4f();
  var far_low = mat4x4f();
  var far_high = mat4x4f();
  var x = begin % params.output_width;
  var y = (begin / params.output_width) % params.output_height;
  var image = begin / (params.output_width * params.output_height);
  let end = min(begin + params.chunk, params.pixel_count);
  for (var pixel = begin; pixel < end; pixel++) {
    let row = i32(y * params.stride_height) + down;
    let column = i32(x * params.stride_width) + right;
    let valid = row >= 0 && column >= 0 && row < i32(params.input_height) && column < i32(params.input_width);
    let cell = (image * params.input_height + u32(row)) * params.input_width + u32(column);
    let at = select(0u, cell * params.input_vectors + vector, valid);
    let near = select(vec4f(), input[at], valid);
    let far = select(vec4f(), input[at + 1u], valid && has_far);
    let low = select(vec4f(), gradient[pixel * params.output_vectors + tile * 2u], has_low);
    let high = select(vec4f(), gradient[pixel * params.output_vectors + tile * 2u + 1u], has_high);
    near_low += outer(near, low);
    near_high += outer(near, high);
    far_low += outer(far, low);
    far_high += outer(far, high);
    x++;
    if (x == params.output_width) {
      x = 0u;
      y++;
      if (y == params.output_height) {
        y = 0u;
        image++;
      }
    }
  }

  let channels = params.input_vectors * 4u;
  let row = ((split * (tiles / 2u) + tile / 2u) * taps + tap) * channels + vector * 4u;
  let at = row * 4u + (tile % 2u) * 2u;
  for (var i = 0u; i < 4u; i++) {
    partial[at + i * 4u] = near_low[i];
    partial[at + i * 4u + 1u] = near_high[i];
  }
  if (has_far) {
    for (var i = 0u; i < 4u; i++) {
      partial[at + 16u + i * 4u] = far_low[i];
      partial[at + 16u + i * 4u + 1u] = far_high[i];
    }
  }
}
