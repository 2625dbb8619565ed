// conv2d-input-gradient for adapters that are a CPU and have subgroups: the same buffers and formula, the weights
// loaded once a subgroup and broadcast (lib/subgroup-broadcast.wgsl).
//
//   input_gradient[p, c] = sum_{ky, kx, o} gradient[(p + pad - (ky, kx) * dilation) / stride, o] * weight[o, ky, kx, c]
//   over the taps whose quotient is whole and inside the output
//
// buffer          shape                                       dtype
// gradient        batch, out_height, out_width, out_vectors   vec4f, padded lanes zero
// weights         tile, ky, kx, channel, 4                    vec4f: sixteen output channels a tile, as conv2d reads them
// input_gradient  batch, height, width, input_vectors         vec4f, padded lanes written as zero
//
// One thread computes TILE_PIXELS pixels x (4 * TILE_VECTORS) input channels in registers, and its subgroup the same
// channels of other pixels; a load of weights is one vec4 of output channels for each of LANES input channels.
// For 512 multiply-adds conv2d-input-gradient loads 8 vec4 of weights and 16 of the gradient, here 4 and 4: on lavapipe
// each costs the same, uniform or not. Against it, same run, 3x3 x 128 x 128 and 512 x 512: 4.0 times the speed at
// 4 pixels x 32 channels, 3.9 at 8 x 32, 3.7 at 4 x 16; slower with two vectors of the gradient an iteration, whose
// code is larger than the instruction cache. multiply() is called by name for every vector: as a loop, sums stay in memory.
// Channels past the last are computed from their neighbours' weights and not stored. Sums run over ky, kx, o in this
// order. One group only: a grouped convolution is rewritten as a dense one first.

const TILE_PIXELS: u32 = 4u;
// Vectors a load holds of four lanes each, the first lane of an odd one, and the loads of eight vectors.
const QUADS: u32 = LANES / 4u;
const ODD: u32 = 4u * (QUADS - 1u);
const MOST_LOADS: u32 = 8u / QUADS;
override WORKGROUP_SIZE: u32 = 8u;

struct Params {
  input_height: u32,
  input_width: u32,
  input_channels: u32,
  output_height: u32,
  output_width: u32,
  output_vectors: u32,
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

fn real_lanes(channel: u32) -> vec4f {
  let lanes = vec4u(channel, channel + 1u, channel + 2u, channel + 3u);
  return select(vec4f(0.0), vec4f(1.0), lanes < vec4u(params.input_channels));
}

// Adds the products of four output channels, whose weights for one input channel each of b0 to b3 holds.
fn multiply(total: ptr<function, array<vec4f, TILE_PIXELS * TILE_VECTORS>>, d: ptr<function, array<vec4f, TILE_PIXELS>>,
  v: u32, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
  let b = transpose(mat4x4f(b0, b1, b2, b3));
  for (var i = 0u; i < TILE_PIXELS; i++) {
    var sum = total[i * TILE_VECTORS + v];
    sum += d[i].x * b[0];
    sum += d[i].y * b[1];
    sum += d[i].z * b[2];
    sum += d[i].w * b[3];
    total[i * TILE_VECTORS + v] = sum;
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let input_vectors = (params.input_channels + 3u) / 4u;
  let blocks = (params.pixel_count + TILE_PIXELS * WORKGROUP_SIZE - 1u) / (TILE_PIXELS * WORKGROUP_SIZE);
  let linear = workgroup.x + workgroup.y * count.x;
  let tile = linear / blocks;
  if (tile * TILE_VECTORS >= input_vectors) {
    return;
  }
  let first = ((linear % blocks) * WORKGROUP_SIZE + local) * TILE_PIXELS;

  var images = array<u32, TILE_PIXELS>();
  var rows = array<i32, TILE_PIXELS>();
  var columns = array<i32, TILE_PIXELS>();
  for (var i = 0u; i < TILE_PIXELS; i++) {
    let pixel = select(0u, first + i, first + i < params.pixel_count);
    columns[i] = i32(pixel % params.input_width + params.pad_left);
    rows[i] = i32((pixel / params.input_width) % params.input_height + params.pad_top);
    images[i] = pixel / (params.input_width * params.input_height) * params.output_height;
  }
  var total: array<vec4f, TILE_PIXELS * TILE_VECTORS>;
  let taps = params.kernel_height * params.kernel_width;

  for (var ky = 0u; ky < params.kernel_height; ky++) {
    for (var kx = 0u; kx < params.kernel_width; kx++) {
      var base = array<u32, TILE_PIXELS>();
      var inside = array<f32, TILE_PIXELS>();
      for (var i = 0u; i < TILE_PIXELS; i++) {
        let down = rows[i] - i32(ky * params.dilation_height);
        let right = columns[i] - i32(kx * params.dilation_width);
        let y = u32(max(down, 0)) / params.stride_height;
        let x = u32(max(right, 0)) / params.stride_width;
        let whole = y * params.stride_height == u32(down) && x * params.stride_width == u32(right);
        let valid = down >= 0 && right >= 0 && whole && y < params.output_height && x < params.output_width;
        let offset = ((images[i] + y) * params.output_width + x) * params.output_vectors;
        base[i] = select(0u, offset, valid);
        inside[i] = select(0.0, 1.0, valid);
      }
      for (var vector = 0u; vector < params.output_vectors; vector++) {
        let row = ((vector >> 2u) * taps + ky * params.kernel_width + kx) * input_vectors + tile * TILE_VECTORS;
        var w: array<vec4f, MOST_LOADS>;
        for (var load = 0u; load < LOADS; load++) {
          w[load] = weights[(row * 4u + load * LANES + lane % LANES) * 4u + (vector & 3u)];
        }
        var d: array<vec4f, TILE_PIXELS>;
        for (var i = 0u; i < TILE_PIXELS; i++) {
          d[i] = select(vec4f(), gradient[base[i] + vector], inside[i] > 0.0);
        }
        multiply(&total, &d, 0u, subgroupBroadcast(w[0u / QUADS], 0u), subgroupBroadcast(w[0u / QUADS], 1u),
          subgroupBroadcast(w[0u / QUADS], 2u), subgroupBroadcast(w[0u / QUADS], 3u));
        multiply(&total, &d, 1u, subgroupBroadcast(w[1u / QUADS], ODD + 0u), subgroupBroadcast(w[1u / QUADS], ODD + 1u),
          subgroupBroadcast(w[1u / QUADS], ODD + 2u), subgroupBroadcast(w[1u / QUADS], ODD + 3u));
        multiply(&total, &d, 2u, subgroupBroadcast(w[2u / QUADS], 0u), subgroupBroadcast(w[2u / QUADS], 1u),
          subgroupBroadcast(w[2u / QUADS], 2u), subgroupBroadcast(w[2u / QUADS], 3u));
        multiply(&total, &d, 3u, subgroupBroadcast(w[3u / QUADS], ODD + 0u), subgroupBroadcast(w[3u / QUADS], ODD + 1u),
          subgroupBroadcast(w[3u / QUADS], ODD + 2u), subgroupBroadcast(w[3u / QUADS], ODD + 3u));
        if (TILE_VECTORS > 4u) {
          multiply(&total, &d, 4u, subgroupBroadcast(w[4u / QUADS], 0u), subgroupBroadcast(w[4u / QUADS], 1u),
            subgroupBroadcast(w[4u / QUADS], 2u), subgroupBroadcast(w[4u / QUADS], 3u));
          multiply(&total, &d, 5u, subgroupBroadcast(w[5u / QUADS], ODD + 0u), subgroupBroadcast(w[5u / QUADS], ODD + 1u),
            subgroupBroadcast(w[5u / QUADS], ODD + 2u), subgroupBroadcast(w[5u / QUADS], ODD + 3u));
          multiply(&total, &d, 6u, subgroupBroadcast(w[6u / QUADS], 0u), subgroupBroadcast(w[6u / QUADS], 1u),
            subgroupBroadcast(w[6u / QUADS], 2u), subgroupBroadcast(w[6u / QUADS], 3u));
          multiply(&total, &d, 7u, subgroupBroadcast(w[7u / QUADS], ODD + 0u), subgroupBroadcast(w[7u / QUADS], ODD + 1u),
            subgroupBroadcast(w[7u / QUADS], ODD + 2u), subgroupBroadcast(w[7u / QUADS], ODD + 3u));
        }
      }
    }
  }

  for (var v = 0u; v < TILE_VECTORS; v++) {
    let vector = tile * TILE_VECTORS + v;
    let real = real_lanes(vector * 4u);
    for (var i = 0u; i < TILE_PIXELS; i++) {
      if (first + i < params.pixel_count && vector < input_vectors) {
        let sum = select(vec4f(), total[i * TILE_VECTORS + v], real > vec4f());
        input_gradient[(first + i) * input_vectors + vector] = sum;
      }
    }
  }
}
