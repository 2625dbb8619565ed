// conv2d for adapters that are a CPU and have subgroups: the same buffers, formula, epilogue and order of sums, the
// weights loaded once a subgroup and broadcast (lib/subgroup-broadcast.wgsl).
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
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) output channels in registers, and its subgroup the same
// channels of other pixels. On lavapipe conv2d spends two thirds of its time loading, half of that on weights that all
// lanes share: 16 vec4 of weights and 8 of input for 512 multiply-adds, here 4 and 4. The four products of a
// vec4 are added before a sum goes back to memory, where masking it costs as much as an addition. Against conv2d, same
// run, 3x3 x 256 x 256: 2.1 times the speed at 4 x 32, 1.9 at 8 x 32 or 8 x 16, 1.6 at 4 x 16.
// multiply() is called by name for every vector: as a loop, the sums stayed in memory (a fifth of the speed).

const TILE_PIXELS: u32 = 4u;
const POOL: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read> scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> shift: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> output: array<vec4f>;

fn multiply(total: ptr<function, array<vec4f, TILE_PIXELS * TILE_VECTORS>>, a: ptr<function, array<vec4f, TILE_PIXELS>>,
  v: u32, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
  for (var i = 0u; i < TILE_PIXELS; i++) {
    var sum = total[i * TILE_VECTORS + v];
    sum += a[i].x * b0;
    sum += a[i].y * b1;
    sum += a[i].z * b2;
    sum += a[i].w * b3;
    total[i * TILE_VECTORS + v] = sum;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
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
        var w: array<vec4f, LOADS>;
        for (var load = 0u; load < LOADS; load++) {
          w[load] = weights[at + load * LANES + lane % LANES];
        }
        at += 4u * TILE_VECTORS;
        var a: array<vec4f, TILE_PIXELS>;
        for (var i = 0u; i < TILE_PIXELS; i++) {
          a[i] = select(vec4f(), input[base[i] + vector], inside[i] > 0.0);
        }
        multiply(&total, &a, 0u, subgroupBroadcast(w[0], 0u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 0u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 0u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 0u));
        multiply(&total, &a, 1u, subgroupBroadcast(w[0], 1u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 1u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 1u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 1u));
        multiply(&total, &a, 2u, subgroupBroadcast(w[0], 2u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 2u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 2u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 2u));
        multiply(&total, &a, 3u, subgroupBroadcast(w[0], 3u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 3u),
          subgroupBroadcast(w[LOAD_2], SHIFT_2 + 3u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 3u));
        if (TILE_VECTORS > 4u) {
          multiply(&total, &a, 4u, subgroupBroadcast(w[0], 4u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 4u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 4u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 4u));
          multiply(&total, &a, 5u, subgroupBroadcast(w[0], 5u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 5u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 5u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 5u));
          multiply(&total, &a, 6u, subgroupBroadcast(w[0], 6u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 6u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 6u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 6u));
          multiply(&total, &a, 7u, subgroupBroadcast(w[0], 7u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 7u),
            subgroupBroadcast(w[LOAD_2], SHIFT_2 + 7u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 7u));
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
