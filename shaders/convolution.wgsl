// Convolution or transposed convolution of 1 to 3 spatial dimensions, channels first, in groups, with its bias.
//
//   y[n, o, p] = bias[o] + sum over c, t of x[n, c, at(p, t)] * w[o, c, t]
//   at(p, t) = p * stride + t * dilation - pad                      TRANSPOSED 0
//   at(p, t) = (p + pad - t * dilation) / stride, where whole       TRANSPOSED 1
//
// buffer   shape                                     dtype
// input    batch, channels, spatial                  Element: f32 or i32
// weights  outputs, group_channels, kernel           Element; TRANSPOSED 1: channels, group_outputs, kernel
// bias     outputs                                   Element; unread where HAS_BIAS is 0
// output   batch, outputs, spatial                   Element
//
// One thread makes OUTPUTS channels of one group at one place: every input value that it loads serves them all, its
// neighbours read neighbouring values, and weights are the same for all of a workgroup's lanes but at its ends. With
// one channel a group (depthwise) OUTPUTS is 1 and the loop over channels one round: no product is of a zero.
// A group's channels need fill no tile: the last thread repeats its last channel and doesn't write it.
//
// Fewer than three dimensions are led by ones. What lies outside counts as zero. Sums run over c, then t, in order;
// those of integers wrap.

alias Element = f32;
const OUTPUTS: u32 = 4u;
override TRANSPOSED: u32 = 0u;
override HAS_BIAS: u32 = 1u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  threads: u32,
  channels: u32,
  outputs: u32,
  group_channels: u32,
  group_outputs: u32,
  group_tiles: u32,
  input_depth: u32,
  input_height: u32,
  input_width: u32,
  output_depth: u32,
  output_height: u32,
  output_width: u32,
  kernel_depth: u32,
  kernel_height: u32,
  kernel_width: u32,
  stride_depth: u32,
  stride_height: u32,
  stride_width: u32,
  dilation_depth: u32,
  dilation_height: u32,
  dilation_width: u32,
  pad_depth: u32,
  pad_height: u32,
  pad_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> weights: array<Element>;
@group(0) @binding(3) var<storage, read> bias: array<Element>;
@group(0) @binding(4) var<storage, read_write> output: array<Element>;

// Where tap t of place p reads along an axis of `size`, or -1.
fn reads(p: u32, t: u32, size: u32, stride: u32, dilation: u32, pad: u32) -> i32 {
  if (TRANSPOSED == 1u) {
    let moved = i32(p + pad - t * dilation);
    if (moved < 0 || u32(moved) % stride != 0u) { return -1; }
    let at = u32(moved) / stride;
    return select(-1, i32(at), at < size);
  }
  let at = i32(p * stride + t * dilation - pad);
  return select(-1, at, at >= 0 && at < i32(size));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (thread >= params.threads) { return; }
  let places = params.output_depth * params.output_height * params.output_width;
  let place = thread % places;
  let x = place % params.output_width;
  let y = place / params.output_width % params.output_height;
  let z = place / (params.output_width * params.output_height);
  let tile = thread / places % (params.outputs / params.group_outputs * params.group_tiles);
  let image = thread / places / (params.outputs / params.group_outputs * params.group_tiles);
  let group = tile / params.group_tiles;
  let first = tile % params.group_tiles * OUTPUTS;

  let taps = params.kernel_depth * params.kernel_height * params.kernel_width;
  let input_size = params.input_depth * params.input_height * params.input_width;
  // From one output channel to the next, and from one input channel to the next.
  let output_stride = select(params.group_channels * taps, taps, TRANSPOSED == 1u);
  let channel_stride = select(taps, params.group_outputs * taps, TRANSPOSED == 1u);
  let group_weights = group * params.group_outputs * params.group_channels * taps;
  var base: array<u32, OUTPUTS>;
  var sums: array<Element, OUTPUTS>;
  for (var i = 0u; i < OUTPUTS; i++) {
    let channel = min(first + i, params.group_outputs - 1u);
    base[i] = group_weights + channel * output_stride;
    if (HAS_BIAS == 1u) { sums[i] = bias[group * params.group_outputs + channel]; }
  }
  for (var c = 0u; c < params.group_channels; c++) {
    let plane = (image * params.channels + group * params.group_channels + c) * input_size;
    var at = c * channel_stride;
    for (var tz = 0u; tz < params.kernel_depth; tz++) {
      let iz = reads(z, tz, params.input_depth, params.stride_depth, params.dilation_depth, params.pad_depth);
      for (var ty = 0u; ty < params.kernel_height; ty++) {
        let iy = reads(y, ty, params.input_height, params.stride_height, params.dilation_height, params.pad_height);
        if (iz < 0 || iy < 0) {
          at += params.kernel_width;
          continue;
        }
        let row = plane + (u32(iz) * params.input_height + u32(iy)) * params.input_width;
        for (var tx = 0u; tx < params.kernel_width; tx++) {
          let ix = reads(x, tx, params.input_width, params.stride_width, params.dilation_width, params.pad_width);
          if (ix >= 0) {
            let value = input[row + u32(ix)];
            for (var i = 0u; i < OUTPUTS; i++) { sums[i] += value * weights[base[i] + at]; }
          }
          at++;
        }
      }
    }
  }
  for (var i = 0u; i < OUTPUTS; i++) {
    let channel = first + i;
    if (channel < params.group_outputs) {
      output[(image * params.outputs + group * params.group_outputs + channel) * places + place] = sums[i];
    }
  }
}
