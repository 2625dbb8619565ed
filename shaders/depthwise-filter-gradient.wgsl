// Gradient of a depthwise f32 convolution by its weights, in split sums over the pixels.
//
//   partial[s, c, ky, kx] = sum over pixels p of split s of gradient[p, c] * input[q, c],
//                           q = p * stride + (ky, kx) * dilation - pad
//   weight_gradient = sum over s of partial[s], by sum-splits, in order: the same bits in every run
//
// buffer    shape                                  dtype
// input     batch, height, width, vectors          vec4f, padded lanes zero
// gradient  batch, out_height, out_width, vectors  vec4f, padded lanes zero
// partial   split, tile, ky, kx, 4                 vec4f: sixteen channels a tile, as depthwise-conv2d reads weights
//
// One thread sums one vector of one tap over the chunk pixels of its split. Vectors past the last of a tile are zero.
// input_vectors and output_vectors are the same.

override WORKGROUP_SIZE: u32 = 64u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let taps = params.kernel_height * params.kernel_width;
  let items = (params.input_vectors + 3u) / 4u * taps * 4u;
  let item = index % items;
  let begin = index / items * params.chunk;
  if (begin >= params.pixel_count) {
    return;
  }
  let vector = item / (taps * 4u) * 4u + item % 4u;
  let tap = item / 4u % taps;
  let down = i32(tap / params.kernel_width * params.dilation_height) - i32(params.pad_top);
  let right = i32(tap % params.kernel_width * params.dilation_width) - i32(params.pad_left);
  var sum = vec4f();
  let end = select(begin, min(begin + params.chunk, params.pixel_count), vector < params.input_vectors);
  for (var pixel = begin; pixel < end; pixel++) {
    let y = i32(pixel / params.output_width % params.output_height * params.stride_height) + down;
    let x = i32(pixel % params.output_width * params.stride_width) + right;
    if (y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width)) {
      let image = pixel / (params.output_width * params.output_height) * params.input_height;
      let cell = (image + u32(y)) * params.input_width + u32(x);
      sum += input[cell * params.input_vectors + vector] * gradient[pixel * params.input_vectors + vector];
    }
  }
  partial[index] = sum;
}
