// Writes rows of updates to places of a tensor that are computed, or adds to, multiplies or compares with what is there.
//
//   output[place(row, column)] = OP(output[place(row, column)], updates[row, column])     row = 0, 1, ...
//
// buffer   shape                               dtype
// updates  columns / inners x rows x inners    Element: f32, i32 or u32
// places   rows, or as updates                 i32: where a row begins in the output, or with EACH where every element lies;
//                                              below 0 what is left out
// output   any                                 Element: what the updates meet
//
// One thread treats one column of updates, every `splits`-th row, in order: rows that meet in one place meet in one
// thread, so the last one stays and a sum has its order, as long as splits is 1. More splits are for places that differ.
//
// A NaN is the maximum and the minimum. Integer sums and products wrap.

alias Element = f32;
override OP: u32 = 0u;
override EACH: u32 = 0u;
override IS_FLOAT: u32 = 1u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  rows: u32,
  columns: u32,
  inners: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> updates: array<Element>;
@group(0) @binding(2) var<storage, read> places: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;

fn joined(old: Element, update: Element) -> Element {
  switch OP {
    case 1u: { return old + update; }
    case 2u: { return old * update; }
    case 3u: { return select(old, update, !not_a_number(old) && (not_a_number(update) || update > old)); } // max
    case 4u: { return select(old, update, !not_a_number(old) && (not_a_number(update) || update < old)); } // min
    default: { return update; }
  }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (thread >= params.columns * params.splits) { return; }
  let column = thread % params.columns;
  let first = column / params.inners * params.rows * params.inners + column % params.inners;
  for (var row = thread / params.columns; row < params.rows; row += params.splits) {
    let update = first + row * params.inners;
    let place = places[select(row, update, EACH == 1u)];
    if (place < 0) { continue; }
    let at = u32(place) + select(column, 0u, EACH == 1u);
    output[at] = joined(output[at], updates[update]);
  }
}
