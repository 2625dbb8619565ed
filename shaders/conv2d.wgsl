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
const POOL: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let blocks = (params.pixel_count + TILE_PIXELS * WORKGROUP_SIZE - 1u) / (TILE_PIXELS * WORKGROUP_SIZE);
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / blocks;
  if (tile >= params.tile_count) {
    return;
  }
  let first = ((linear % blocks) * WORKGROUP_SIZE + local) * TILE_PIXELS;

  var pixels: array<Pixel, TILE_PIXELS>;
  for (var i = 0u; i < TILE_PIXELS; i++) {
    pixels[i] = locate(first + i);
  }
  var total: array<vec4f, TILE_PIXELS * TILE_VECTORS>;
  let group_vector = (tile / params.group_tiles) * params.group_vectors;
  var at = tile * params.kernel_height * params.kernel_width * params.group_vectors * 4u * TILE_VECTORS;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var base: array<u32, TILE_PIXELS>;
      var inside: array<f32, TILE_PIXELS>;
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let y = pixels[i].y + i32(ky * params.dilation_height);
        let x = pixels[i].x + i32(kx * params.dilation_width);
        let valid = y >= 0 && x >= 0 && y < i32(params.input_height) && x < i32(params.input_width);
        let offset = ((pixels[i].image_row + u32(y)) * params.input_width + u32(x)) * params.input_vectors;
        base[i] = group_vector + select(0u, offset, valid);
        inside[i] = select(0.0, 1.0, valid);
      }
      for (var vector = 0u; vector < params.group_vectors; vector++) {
        var a: array<vec4f, TILE_PIXELS>;
        for (var i = 0u; i < TILE_PIXELS; i++) {
          a[i] = select(vec4f(), input[base[i] + vector], inside[i] > 0.0);
        }
        for (var lane = 0u; lane < 4u; lane++) {
          var b: array<vec4f, TILE_VECTORS>;
          for (var v = 0u; v < TILE_VECTORS; v++) {
            b[v] = weights[at + v];
          }
          at += TILE_VECTORS;
          for (var i = 0u; i < TILE_PIXELS; i++) {
            for (var v = 0u; v < TILE_VECTORS; v++) {
              total[i * TILE_VECTORS + v] += a[i][lane] * b[v];
            }
          }
        }
      }
    }
  }

  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = min(tile * TILE_VECTORS + v, params.output_vectors - 1u);
    for (var i = 0u; i < TILE_PIXELS; i++) {
      let value = total[i * TILE_VECTORS + v] * scale[vector] + shift[vector];
      total[i * TILE_VECTORS + v] = clamp_or_nan(value, params.low, params.high);
    }
  }
  // As in conv2d-int8: a window's maximum ends up in its first pixel.
  if (POOL == 1u) {
    for (var i = 0u; i < (TILE_PIXELS - 1u) * TILE_VECTORS; i++) {
      total[i] = max_or_nan(total[i], total[i + TILE_VECTORS]);
    }
    for (var i = 0u; i < (TILE_PIXELS - 2u) * TILE_VECTORS; i++) {
      total[i] = max_or_nan(total[i], total[i + 2u * TILE_VECTORS]);
    }
  }
  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    for (var i = 0u; i < TILE_PIXELS; i++) {
      let wanted = first + i < params.pixel_count && (POOL == 0u || (i & 3u) == 0u);
      if (wanted && vector < params.output_vectors) {
        output[((first + i) >> (2u * POOL)) * params.output_vectors + vector] = total[i * TILE_VECTORS + v];
      }
    }
  }
}
