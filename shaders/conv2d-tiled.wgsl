// f32 convolution for GPUs, staged in workgroup memory: what conv2d computes, with its affine epilogue, clamp and pool.
//
//   sum[p, o] = sum_{ky, kx, c} input[p * stride + (ky, kx) * dilation - pad, c] * weight[o, ky, kx, c]
//   out[p, o] = max over the pool window of clamp(sum[p, o] * scale[o] + shift[o], low, high)
//
// buffer      shape                                       dtype
// input       batch, height, width, input_vectors         vec4f, channels padded to 4 with zeros
// weights     tile, ky, kx, channel, TILE_VECTORS         vec4f: four output channels
// scale,shift tile x TILE_VECTORS                         vec4f
// output      batch, out_height, out_width, out_vectors   vec4f
//
// Tiles, threads, memory and edges: lib/tiled-float.wgsl.

alias Real = f32;
const CHUNKED: u32 = 0u;

fn prepare_weights(thread: u32) {
}

fn weight_vector(vector: u32) -> vec4f {
  return weights[vector];
}
