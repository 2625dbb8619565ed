// Copies a box of words from strides to strides: transposes, slices, splits, concatenates, repeats, pads and gathers.
//
//   output[output_offset + sum of c[d] * output_stride[d]] = input[input_offset + sum of position(d, c[d]) * input_stride[d]]
//
// buffer   shape  dtype
// input    any    u32: words of any type, moved as they are
// indices  any    i32: positions of an axis of mode 5; unread otherwise
// axes     rank   vec4i an axis, the innermost first: size, input stride (0 repeats, negative runs backwards), output
//                 stride, 0
// windows  rank   vec4i an axis, read where WINDOWED is 1: start, limit, mode, 0
// fill     1      u32, read where WINDOWED is 1
// output   any    u32
//
// One thread copies one word; the innermost axis is the output's innermost, so that neighbouring threads write
// neighbouring words. Axes that lie behind each other on both sides are one axis: the host merges them.
//
// position(d, c) is c, and with windows start + c, which outside 0 .. limit - 1 is, by mode:
//   0  never      1  the word of `fill`     2  reflected about the first and the last element, as often as it takes
//   3  the nearest element      4  modulo limit      5  indices[start + c], counted from the end where negative; `fill`'s outside
// Axes of the input that are empty have no position: every word is `fill`'s.

override WINDOWED: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  rank: u32,
  input_offset: i32,
  output_offset: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;
@group(0) @binding(3) var<storage, read> axes: array<vec4i>;
@group(0) @binding(4) var<storage, read> windows: array<vec4i>;
@group(0) @binding(5) var<storage, read> fill: array<u32>;
@group(0) @binding(6) var<storage, read_write> output: array<u32>;

// A position inside 0 .. limit - 1, or -1 for `fill`.
fn position(window: vec4i, coordinate: i32) -> i32 {
  let limit = window.y;
  var at = window.x + coordinate;
  if (window.z == 5) {
    at = indices[at];
    at += select(0, limit, at < 0);
  }
  if (limit == 0) { return -1; }
  let inside = at >= 0 && at < limit;
  if (inside) { return at; }
  switch window.z {
    case 2: {
      let period = max(2 * (limit - 1), 1);
      let turned = ((at % period) + period) % period;
      return min(turned, period - turned) * i32(limit > 1);
    }
    case 3: { return clamp(at, 0, limit - 1); }
    case 4: { return ((at % limit) + limit) % limit; }
    default: { return -1; }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) { return; }
  var rest = index;
  var from_input = params.input_offset;
  var to_output = params.output_offset;
  var filled = false;
  for (var d = 0u; d < params.rank; d++) {
    let axis = axes[d];
    var coordinate = i32(rest);
    if (d + 1u < params.rank) {
      coordinate = i32(rest % u32(axis.x));
      rest /= u32(axis.x);
    }
    to_output += coordinate * axis.z;
    if (WINDOWED == 1u) {
      coordinate = position(windows[d], coordinate);
      filled = filled || coordinate < 0;
    }
    from_input += coordinate * axis.y;
  }
  if (filled) {
    output[to_output] = fill[0];
  } else {
    output[to_output] = input[from_input];
  }
}
