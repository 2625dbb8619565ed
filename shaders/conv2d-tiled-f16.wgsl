// Convolution with f16 products for GPUs, staged in workgroup memory: conv2d-tiled with weights and staged operands of
// half the bytes, on adapters that multiply f16 in pairs also with half the multiplications. Not timed on a GPU yet.
//
//   sum[p, o] = sum over steps of f32(sum in f16 of the step's f16(input) * weight)
//   out[p, o] = max over the pool window of clamp(sum[p, o] * scale[o] + shift[o], low, high)
//
// buffer      shape                                       dtype
// input       batch, height, width, input_vectors         vec4f, channels padded to 4 with zeros
// weights     tile, ky, kx, channel, TILE_VECTORS         vec4<f16>: four output channels
// scale,shift tile x TILE_VECTORS                         vec4f
// output      batch, out_height, out_width, out_vectors   vec4f
//
// Inputs are rounded to f16 when staged and must stay within 65504, as must a step's sums; everything past a step is
// f32. Tiles, threads, memory and edges: lib/tiled-float.wgsl.

alias Real = f16;
const CHUNKED: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4h>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

fn prepare_weights(thread: u32) {
}

fn weight_vector(vector: u32) -> vec4h {
  return weights[vector];
}
