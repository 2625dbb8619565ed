// Writes the elements of each bin side by side, so that kmeans-totals can look into one bin without reading the rest.
//
//   grouped[cursor[bin(x)]++] = x,  bin(x) = (number of edges <= x) - 1
//
// buffer    shape            dtype  holds
// fixed     [elements]       u32    fixed-point elements (kmeans-fix)
// chunks    [chunkCount, 4]  u32    segment, first element, one past the last, 0
// ranges    [segments, 4]    u32    lowest edge, log2 of a cell's width, first cell, number of cells
// cells     [cells + 1]      u32    the last edge at or below the cell's lower end; one more a segment ends its last cell
// edges     [edges]          u32    ascending, distinct; a segment's lowest edge is at most its smallest element
// cursors   [edges]          u32    where the bin's next element goes; 2^32 - 1 for a bin that is left out
// grouped   [elements]       u32    the elements of the bins that are not left out
//
// One workgroup reads one chunk; one thread every WORKGROUP_SIZE-th element, whose bin it finds as
// histogram does.
//
// Threads race for the places of a bin, so the order within it differs from run to run: only sums over a bin's
// elements may be taken from it, and integer sums do not depend on order.

struct Params {
  chunkCount: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> fixed: array<u32>;
@group(0) @binding(2) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(3) var<storage, read> ranges: array<vec4u>;
@group(0) @binding(4) var<storage, read> cells: array<u32>;
@group(0) @binding(5) var<storage, read> edges: array<u32>;
@group(0) @binding(6) var<storage, read_write> cursors: array<atomic<u32>>;
@group(0) @binding(7) var<storage, read_write> grouped: array<u32>;

override WORKGROUP_SIZE: u32 = 64;
const LEFT_OUT: u32 = 0xffffffffu;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = workgroup.x + workgroup.y * workgroups.x;
  if (index >= params.chunkCount) {
    return;
  }
  let chunk = chunks[index];
  let range = ranges[chunk.x];
  for (var at = chunk.y + lane; at < chunk.z; at += WORKGROUP_SIZE) {
    let x = fixed[at];
    // The last edge that is <= x lies in [low, low + size).
    let cell = range.z + min((x - range.x) >> range.y, range.w - 1u);
    var low = cells[cell];
    var size = cells[cell + 1u] - low + 1u;
    while (size > 1u) {
      let half = size / 2u;
      low += select(0u, half, edges[low + half] <= x);
      size -= half;
    }
    if (atomicLoad(&cursors[low]) != LEFT_OUT) {
      grouped[atomicAdd(&cursors[low], 1u)] = x;
    }
  }
}
