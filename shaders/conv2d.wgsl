// f32 convolution with its affine epilogue (folded batch norm or bias), clamp (ReLU) and 2x2 max-pool in one pass.
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
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) output channels in registers, as conv2d-int8 does and
// for the same reason; one workgroup shares the channels and so its part of the cache. lavapipe spends two thirds of
// its time loading, lane by lane, weights that all lanes share included: with subgroups, conv2d-broadcast takes over.
// Per core there, 3x3 x 256 x 256: 8 x 16 8.4 to 10.8 Gop/s, 4 x 32 8.0, 16 x 8 5.3, 16 x 16 1.2. Tried and slower:
// F(2x2) Winograd in registers (3.3, each weight is used once), lanes over channels (4.7), naming every sum (5.5).
// Scaling comes before pooling because a negative scale turns maxima into minima. Sums run over ky, kx, c in this
// order on every adapter, but WGSL leaves f32 rounding and fusing open: results agree within tolerance, not bits.

const TILE_PIXELS: u32 = 8u;
const TILE_VECTORS: u32 = 4u;
const STEP_VECTORS: u32 = 4u * TILE_VECTORS;
override WORKGROUP_SIZE: u32 = 64u;

fn multiply(sums: ptr<function, Sums>, window: ptr<function, Window>, step: u32, at: u32, lane: u32) {
  let a = load_pixels(window, step);
  for (var channel = 0u; channel < 4u; channel++) {
    var b: array<vec4f, TILE_VECTORS>;
    for (var v = 0u; v < TILE_VECTORS; v++) {
      b[v] = weights[at + channel * TILE_VECTORS + v];
    }
    for (var i = 0u; i < TILE_PIXELS; i++) {
      for (var v = 0u; v < TILE_VECTORS; v++) {
        sums[i * TILE_VECTORS + v] += a[i][channel] * b[v];
      }
    }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  convolve(workgroup.x + workgroup.y * count.x, local, 0u, params.input_vectors, params.group_vectors);
}
