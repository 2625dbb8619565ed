// Gradient of a depthwise f32 convolution by its input.
//
//   input_gradient[q, c] = sum over ky, kx of gradient[p, c] * weight[c, ky, kx],
//                          where p * stride = q + pad - (ky, kx) * dilation has a p
//
// buffer          shape                                  dtype
// gradient        batch, out_height, out_width, vectors  vec4f, padded lanes zero
// weights         tile, ky, kx, 4                        vec4f: sixteen channels a tile
// input_gradient  batch, height, width, vectors          vec4f
//
// One thread makes one vector of one input pixel; pixel_count counts those. Sums run over ky, kx in order. An input
// pixel has output_vectors too: input_channels is conv2d-input-gradient's and unread here.

override WORKGROUP_SIZE: u32 = 64u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.pixel_count * params.output_vectors) {
    return;
  }
  let vector = index % params.output_vectors;
  let pixel = index / params.output_vectors;
  let right = pixel % params.input_width + params.pad_left;
  let bottom = pixel / params.input_width % params.input_height + params.pad_top;
  let image = pixel / (params.input_width * params.input_height) * params.output_height;
  var at = vector / 4u * params.kernel_height * params.kernel_width * 4u + vector % 4u;
  var sum = vec4f();
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = window_over(bottom, ky * params.dilation_height, params.stride_height, params.output_height);
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let x = window_over(right, kx * params.dilation_width, params.stride_width, params.output_width);
      if (y != NONE && x != NONE) {
        let cell = (image + y) * params.output_width + x;
        sum += gradient[cell * params.output_vectors + vector] * weights[at];
      }
      at += 4u;
    }
  }
  input_gradient[index] = sum;
}
