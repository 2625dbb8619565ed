// Reduces any axes of a tensor: sums, means, products, extrema, and where they lie.
//
//   output[o] = OP over r of input[base(o) + offset(r)]
//
// buffer  shape           dtype
// input   any             Element: f32, i32 or u32
// axes    kept + reduced  vec2u an axis: its size and its stride in the input; first the kept ones, then the reduced ones,
//                         each innermost first
// output  outputs         u32: bits of an Element; of argMax and argMin the index along the reduced axes
//
// LANES threads share one output: 1 where outputs are many and lie side by side, a whole workgroup where each is a long
// sum. A lane takes every LANES-th element, then the lanes join in a tree; so a sum's rounding error grows with its
// length / LANES. Axes that lie behind each other are one axis: the host merges them.
//
// A NaN is the maximum and the minimum, and the first one is where they lie, as in numpy. Nothing reduced gives `identity`
// (bits). Integer sums wrap; an integer mean truncates. Of equal extrema the first counts, or the last where LAST is 1.

alias Element = f32;
override OP: u32 = 0u;
override IS_FLOAT: u32 = 1u;
override LAST: u32 = 0u;
override LANES: u32 = 1u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  outputs: u32,
  reduced: u32,
  kept_rank: u32,
  reduced_rank: u32,
  identity: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read> axes: array<vec2u>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

var<workgroup> partial_values: array<Element, WORKGROUP_SIZE>;
var<workgroup> partial_places: array<u32, WORKGROUP_SIZE>;

struct Best {
  value: Element,
  place: u32,
}

fn offset_of(index: u32, first: u32, rank: u32) -> u32 {
  var rest = index;
  var offset = 0u;
  for (var d = 0u; d < rank; d++) {
    let axis = axes[first + d];
    if (d + 1u == rank) { return offset + rest * axis.y; }
    offset += rest % axis.x * axis.y;
    rest /= axis.x;
  }
  return offset;
}

// Whether y, which lies at another place, takes the place of x.
fn beats(x: Best, y: Best) -> bool {
  if (y.place == 0xffffffffu) { return false; }
  if (x.place == 0xffffffffu) { return true; }
  let earlier = y.place < x.place;
  if (not_a_number(x.value)) { return not_a_number(y.value) && earlier; }
  if (not_a_number(y.value)) { return true; }
  if (x.value == y.value) { return earlier != (LAST == 1u); }
  return (y.value > x.value) == (OP == 2u || OP == 8u);
}

fn combine(x: Best, y: Best) -> Best {
  if (OP == 4u) { return Best(x.value * y.value, 0u); }
  if (OP == 2u || OP == 3u || OP >= 8u) {
    if (beats(x, y)) { return y; }
    return x;
  }
  return Best(x.value + y.value, 0u);
}

fn load(at: u32, place: u32) -> Best {
  let x = input[at];
  switch OP {
    case 5u: { return Best(abs(x), place); } // l1
    case 6u: { return Best(x * x, place); } // sumSquare
    default: { return Best(x, place); } // 0 sum, 1 mean, 2 max, 3 min, 4 prod, 8 argMax, 9 argMin
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + local;
  let index = thread / LANES;
  let lane = thread % LANES;
  var best = Best(bitcast<Element>(params.identity), 0xffffffffu);
  if (index < params.outputs) {
    let base = offset_of(index, 0u, params.kept_rank);
    for (var r = lane; r < params.reduced; r += LANES) {
      best = combine(best, load(base + offset_of(r, params.kept_rank, params.reduced_rank), r));
    }
  }
  if (LANES > 1u) {
    partial_values[local] = best.value;
    partial_places[local] = best.place;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
      workgroupBarrier();
      if (lane < step) {
        best = combine(best, Best(partial_values[local + step], partial_places[local + step]));
        partial_values[local] = best.value;
        partial_places[local] = best.place;
      }
    }
  }
  if (index >= params.outputs || lane > 0u) { return; }
  if (OP >= 8u) {
    output[index] = best.place;
  } else if (OP == 1u) {
    output[index] = bitcast<u32>(best.value / Element(params.reduced));
  } else {
    output[index] = bitcast<u32>(best.value);
  }
}
