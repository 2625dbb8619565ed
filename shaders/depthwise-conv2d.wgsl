// f32 convolution of each channel by its own filter.
//
//   output[p, c] = sum over ky, kx of input[p * stride + (ky, kx) * dilation - pad, c] * weight[c, ky, kx]
//
// buffer   shape                                 dtype
// input    batch, height, width, vectors         vec4f, channels padded to 4 with zeros
// weights  tile, ky, kx, 4                       vec4f: sixteen channels a tile
// output   batch, out_height, out_width, vectors vec4f
//
// One thread makes one vector of one pixel. Sums run over ky, kx in order; padding counts as zero.

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
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.pixel_count * params.vectors) {
    return;
  }
  let vector = index % params.vectors;
  let pixel = index / params.vectors;
  let left = i32(pixel % params.output_width * params.stride_width) - i32(params.pad_left);
  let top = i32(pixel / params.output_width % params.output_height * params.stride_height) - i32(params.pad_top);
  let image = pixel / (params.output_width * params.output_height) * params.input_height;
  var at = vector / 4u * params.kernel_height * params.kernel_width * 4u + vector % 4u;
  var sum = vec4f();
  for (var ky = 0u; ky < params.kernel_height; ky++) {
    let y = top + i32(ky * params.dilation_height);
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      let x = left + i32(kx * params.dilation_width);
      if (y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width)) {
        let cell = (image + u32(y)) * params.input_width + u32(x);
        sum += input[cell * params.vectors + vector] * weights[at];
      }
      at += 4u;
    }
  }
  output[index] = sum;
}
