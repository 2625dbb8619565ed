// Counts the elements of each bin and adds up how far they lie above the bin's lower edge.
//
//   bin(x) = (number of edges <= x) - 1;  bins[segment, bin] += (1, x - edge[bin])
//
// buffer    shape            dtype  holds
// fixed     [elements]       u32    fixed-point elements (kmeans-fix)
// chunks    [chunkCount, 4]  u32    segment, first element, one past the last, 0
// ranges    [segments, 4]    u32    lowest edge, log2 of a cell's width, first cell, number of cells; 0: left out
// cells     [cells + 1]      u32    the last edge at or below the cell's lower end; one more a segment ends its last cell
// edges     [edges]          u32    ascending, distinct; a segment's lowest edge is at most its smallest element
// bins      [edges, 3]       u32    count, low word of the sum of (x - edge), high word
//
// One workgroup reads one chunk; one thread every WORKGROUP_SIZE-th element: a search for its bin and two integer
// atomics. Bins are too many (up to 65,536 a segment) for workgroup memory, and so many that threads seldom meet in one.
//
// Cells of equal width, up to 16,384 a segment, say between which edges an element lies; a binary search among those
// few ends it. Searching all edges took 15 dependent loads an element, and most of the kernel's time on lavapipe.
//
// With one edge for each distinct value the bins hold the data exactly, which is what float16 weights allow. An
// element below the first edge is counted in the first bin, with a sum that wraps; the host's edges rule that out.

struct Params {
  chunkCount: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> fixed: array<u32>;
@group(0) @binding(2) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(3) var<storage, read> ranges: array<vec4u>;
@group(0) @binding(4) var<storage, read> cells: array<u32>;
@group(0) @binding(5) var<storage, read> edges: array<u32>;
@group(0) @binding(6) var<storage, read_write> bins: array<atomic<u32>>;

override WORKGROUP_SIZE: u32 = 64;

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
  if (range.w == 0u) {
    return;
  }
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
    let above = x - edges[low];
    atomicAdd(&bins[low * 3u], 1u);
    if (above > 0u) {
      let before = atomicAdd(&bins[low * 3u + 1u], above);
      if (before + above < before) {
        atomicAdd(&bins[low * 3u + 2u], 1u);
      }
    }
  }
}
