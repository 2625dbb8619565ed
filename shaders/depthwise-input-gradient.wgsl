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
// One thread makes one vector of one input pixel; pixel_count counts those. Sums run over ky, kx in order.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  input_height: u32,
  input_width: u32,
  output_height: u32,
  output_width: u32,
  vectors: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_top: u32,
  pad_left: u32,
  pixel_count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.pixel_count * params.vectors) {
    return;
  }
  let vector = index % params.vectors;
  let pixel = index / params.vectors;
  let right = i32(pixel % params.input_width + params.pad_left);
  let bottom = i32(pixel / params.input_width % params.input_height + params.pad_top);
  let image = pixel / (params.input_width * params.input_height) * params.output_height;
  var at = vector / 4u * params.kernel_height * params.kernel_width * 4u + vector % 4u;
  var sum = vec4f();
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let down = bottom - i32(ky * params.dilation_height);
    let y = u32(max(down, 0)) / params.stride_height;
    let row = down >= 0 && y * params.stride_height == u32(down) && y < params.output_height;
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let along = right - i32(kx * params.dilation_width);
      let x = u32(max(along, 0)) / params.stride_width;
      if (row && along >= 0 && x * params.stride_width == u32(along) && x < params.output_width) {
        let cell = (image + y) * params.output_width + x;
        sum += gradient[cell * params.vectors + vector] * weights[at];
      }
      at += 4u;
    }
  }
  input_gradient[index] = sum;
}
