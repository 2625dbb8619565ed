// The k largest or smallest elements of each row, in order, and where they lie.
//
//   values[row, rank(i)] = input[row, i],  indices[row, rank(i)] = i     where rank(i) < k
//   rank(i) = how many elements of the row come before element i
//
// buffer   shape                                dtype
// input    rows / inners x size x inners        Element: f32, i32 or u32
// values   rows / inners x k x inners           Element
// indices  rows / inners x k x inners           i32
//
// One thread ranks one element by counting: no barrier, no order of its own, and the reads of neighbouring threads are the
// same words. That is size^2 comparisons a row, which a sort would beat beyond some ten thousand elements.
//
// Of equal elements the first comes first. NaN is larger than every number, as for PyTorch.

alias Element = f32;
override IS_FLOAT: u32 = 1u;
override LARGEST: u32 = 1u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  rows: u32,
  size: u32,
  inners: u32,
  k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> values: array<Element>;
@group(0) @binding(3) var<storage, read_write> indices: array<i32>;

fn is_larger(x: Element, y: Element) -> bool {
  if (not_a_number(y)) { return false; }
  return not_a_number(x) || x > y;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (thread >= params.rows * params.size) { return; }
  let inner = thread % params.inners;
  let own = thread / params.inners % params.size;
  let outer = thread / params.inners / params.size;
  let base = outer * params.size * params.inners + inner;
  let x = input[thread];
  var rank = 0u;
  for (var i = 0u; i < params.size; i++) {
    let y = input[base + i * params.inners];
    let ahead = select(is_larger(x, y), is_larger(y, x), LARGEST == 1u);
    let behind = select(is_larger(y, x), is_larger(x, y), LARGEST == 1u);
    rank += u32(ahead || (!behind && i < own));
  }
  if (rank >= params.k) { return; }
  let at = (outer * params.k + rank) * params.inners + inner;
  values[at] = x;
  indices[at] = i32(own);
}
