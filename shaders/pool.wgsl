// Maximum or average over windows of 1 to 3 spatial dimensions, channels first, or where the maximum lies.
//
//   y[p] = OP over taps t of x[p * stride + t * dilation - pad], taps outside the input left out
//
// buffer  shape            dtype
// input   planes, spatial  Element: f32 or i32
// output  planes, spatial  u32: bits of an Element, or of an i32 where OP is 2
//
// One thread makes one output; its neighbours read neighbouring windows.
//
// OP 0 averages over the taps inside; where COUNT_PADS is 1 over those inside the padded input (a window that ceil mode
// lets reach beyond it counts no more). OP 1 is the maximum, a NaN if there is one; OP 2 the place of the first maximum:
// plane * plane_size + the sum of its coordinates times the index strides. Fewer than three dimensions are led by ones.

alias Element = f32;
override OP: u32 = 1u;
override IS_FLOAT: u32 = 1u;
override COUNT_PADS: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
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
  end_depth: u32,
  end_height: u32,
  end_width: u32,
  index_stride_depth: u32,
  index_stride_height: u32,
  index_stride_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) { return; }
  let x = index % params.output_width;
  let y = index / params.output_width % params.output_height;
  let z = index / (params.output_width * params.output_height) % params.output_depth;
  let plane = index / (params.output_width * params.output_height * params.output_depth);
  let plane_size = params.input_depth * params.input_height * params.input_width;
  var best = Element(0);
  var place = 0u;
  var found = 0u;
  var counted = 0u;
  for (var tz = 0u; tz < params.kernel_depth; tz++) {
    // Positions in the padded input, whose end `end` is.
    let pz = z * params.stride_depth + tz * params.dilation_depth;
    for (var ty = 0u; ty < params.kernel_height; ty++) {
      let py = y * params.stride_height + ty * params.dilation_height;
      for (var tx = 0u; tx < params.kernel_width; tx++) {
        let px = x * params.stride_width + tx * params.dilation_width;
        if (pz < params.end_depth && py < params.end_height && px < params.end_width) { counted++; }
        // Before the input the difference wraps to more than any size.
        let iz = pz - params.pad_depth;
        let iy = py - params.pad_height;
        let ix = px - params.pad_width;
        if (iz >= params.input_depth || iy >= params.input_height || ix >= params.input_width) { continue; }
        let value = input[plane * plane_size + (iz * params.input_height + iy) * params.input_width + ix];
        if (OP == 0u) {
          best += value;
        } else if (found == 0u || (!not_a_number(best) && (value > best || not_a_number(value)))) {
          best = value;
          place = iz * params.index_stride_depth + iy * params.index_stride_height + ix * params.index_stride_width;
        }
        found++;
      }
    }
  }
  if (OP == 0u) {
    output[index] = bitcast<u32>(best / Element(max(select(found, counted, COUNT_PADS == 1u), 1u)));
  } else if (OP == 1u) {
    output[index] = bitcast<u32>(best);
  } else {
    output[index] = plane * plane_size + place;
  }
}
