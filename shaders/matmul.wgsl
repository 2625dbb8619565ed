// Product of matrices, batched, either side transposed by its strides, with an addend.
//
//   y[b, m, n] = alpha * sum over k of A[b][m, k] * B[b][k, n] + beta * c[m * c_row_stride + n * c_column_stride]
//
// buffer  shape         dtype
// a, b    any           Element: f32, i32 or u32; element (row, column) of matrix i lies at its offset + row * row_stride + column * column_stride
// c       any           Element; unread where HAS_ADDEND is 0
// pairs   batches       vec2u: where the batch's matrices begin in a and in b, so that either is repeated freely
// output  batches, M, N Element
//
// One workgroup of 8 x 8 threads makes a tile of 32 x 32; a thread 4 x 4 of it, rows 8 apart and columns side by side.
// The tile's rows of A and columns of B pass through workgroup memory in slabs of SLAB: 2 x 32 x 16 x 4 = 4 KiB, each
// value loaded once a workgroup and used 32 times.
// Ragged edges load zeros; K = 0 gives the addend alone. Integers wrap; alpha and beta are whole for them.

alias Element = f32;
const SLAB: u32 = 16u;
const TILE: u32 = 32u;
const SIDE: u32 = 8u;
const EACH: u32 = 4u;
override HAS_ADDEND: u32 = 0u;

struct Params {
  batches: u32,
  M: u32,
  N: u32,
  K: u32,
  a_row_stride: u32,
  a_column_stride: u32,
  b_row_stride: u32,
  b_column_stride: u32,
  c_row_stride: u32,
  c_column_stride: u32,
  alpha: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Element>;
@group(0) @binding(2) var<storage, read> b: array<Element>;
@group(0) @binding(3) var<storage, read> c: array<Element>;
@group(0) @binding(4) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<Element>;

var<workgroup> tile_a: array<Element, 512>;
var<workgroup> tile_b: array<vec4<Element>, 128>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let columns = (params.N + TILE - 1u) / TILE;
  let rows = (params.M + TILE - 1u) / TILE;
  let tile = workgroup.x + workgroup.y * grid.x;
  let batch = tile / (rows * columns);
  if (batch >= params.batches) { return; }
  let first_row = tile / columns % rows * TILE;
  let first_column = tile % columns * TILE;
  let start = pairs[batch];
  let row = local / SIDE;
  let column = local % SIDE;

  var sums: array<vec4<Element>, EACH>;
  for (var k = 0u; k < params.K; k += SLAB) {
    for (var i = local; i < TILE * SLAB; i += 64u) {
      // Whichever index has the stride of 1 is left to the neighbours.
      let by_column = params.a_column_stride == 1u;
      let m = select(i % TILE, i / SLAB, by_column);
      let s = select(i / TILE, i % SLAB, by_column);
      var value = Element(0);
      if (first_row + m < params.M && k + s < params.K) {
        value = a[start.x + (first_row + m) * params.a_row_stride + (k + s) * params.a_column_stride];
      }
      tile_a[s * TILE + m] = value;
    }
    for (var i = local; i < SIDE * SLAB; i += 64u) {
      let by_row = params.b_row_stride == 1u && params.b_column_stride != 1u;
      let n = select(i % SIDE, i / SLAB, by_row);
      let s = select(i / SIDE, i % SLAB, by_row);
      var values = vec4<Element>();
      if (k + s < params.K) {
        for (var j = 0u; j < EACH; j++) {
          let at = first_column + n * EACH + j;
          if (at < params.N) { values[j] = b[start.y + (k + s) * params.b_row_stride + at * params.b_column_stride]; }
        }
      }
      tile_b[s * SIDE + n] = values;
    }
    workgroupBarrier();
    // No constant bound: unrolled in full, it takes lavapipe's compiler many seconds.
    let depth = min(SLAB, params.K - k);
    for (var s = 0u; s < depth; s++) {
      let right = tile_b[s * SIDE + column];
      for (var i = 0u; i < EACH; i++) { sums[i] += tile_a[s * TILE + i * SIDE + row] * right; }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < EACH; i++) {
    let m = first_row + i * SIDE + row;
    for (var j = 0u; j < EACH; j++) {
      let n = first_column + column * EACH + j;
      if (m < params.M && n < params.N) {
        var value = Element(params.alpha) * sums[i][j];
        if (HAS_ADDEND == 1u) {
          value += Element(params.beta) * c[m * params.c_row_stride + n * params.c_column_stride];
        }
        output[(batch * params.M + m) * params.N + n] = value;
      }
    }
  }
}
