// Counts and sums each centroid's members from prefix sums over bins: what kmeans-accumulate adds up, without reading
// the elements again.
//
//   below(t) = (count, sum) of all elements x <= t;  threshold[c] = floor((centroid[c] + centroid[c + 1]) / 2)
//   totals[segment, c] = below(threshold[c]) - below(threshold[c - 1]), the outermost thresholds at infinity
//
// buffer     shape                    dtype  holds
// centroids  [segments, clusters]     u32    ascending fixed-point centroids
// done       [segments]               u32    0 while the segment still moves; a done segment is left alone
// spans      [segments, 2]            u32    the segment's first bin and its number of bins, the end mark included
// edges      [bins]                   u32    ascending lower edges; the end mark's is above every element
// prefixes   [bins, 4]                u32    elements in the segment's earlier bins: count, sum's low word, high word;
//                                            then where the bin starts in `grouped`, or 2^32 - 1 if all its elements
//                                            equal its edge
// grouped    [elements]               u32    elements bin by bin (kmeans-group)
// totals     [segments, clusters, 3]  u32    count, sum's low word, high word, replaced
//
// One workgroup computes one centroid's totals; its threads share the two bins that the centroid's thresholds cut.
//
// An iteration costs clusters x (log2 bins + elements of a bin) instead of one pass over all elements. With 16,000
// bins the bin that a threshold cuts holds some 100 of two million elements. On lavapipe binning nine million weights
// costs as much as ten passes, and an iteration then next to nothing.
//
// The results are kmeans-accumulate's, bit for bit: sums are integers, and a value on a threshold counts as below it.

struct Params {
  segments: u32,
  clusters: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> centroids: array<u32>;
@group(0) @binding(2) var<storage, read> done: array<u32>;
@group(0) @binding(3) var<storage, read> spans: array<vec2u>;
@group(0) @binding(4) var<storage, read> edges: array<u32>;
@group(0) @binding(5) var<storage, read> prefixes: array<vec4u>;
@group(0) @binding(6) var<storage, read> grouped: array<u32>;
@group(0) @binding(7) var<storage, read_write> totals: array<u32>;

override WORKGROUP_SIZE: u32 = 32;
const SINGLE: u32 = 0xffffffffu;

// Index 0: below the lower threshold; 1: below the upper one.
var<workgroup> partial_count: array<atomic<u32>, 2>;
var<workgroup> partial_low: array<atomic<u32>, 2>;
var<workgroup> partial_high: array<atomic<u32>, 2>;

fn add_partial(side: u32, count: u32, low: u32, high: u32) {
  if (count == 0u) {
    return;
  }
  atomicAdd(&partial_count[side], count);
  let before = atomicAdd(&partial_low[side], low);
  atomicAdd(&partial_high[side], high + select(0u, 1u, before + low < before));
}

fn add_below(side: u32, segment: u32, threshold: u32, lane: u32) {
  let span = spans[segment];
  if (threshold < edges[span.x]) {
    return;
  }
  // The last edge that is <= threshold lies in [bin, bin + size).
  var bin = span.x;
  var size = span.y;
  while (size > 1u) {
    let half = size / 2u;
    bin += select(0u, half, edges[bin + half] <= threshold);
    size -= half;
  }
  // A bin of one value lies below the threshold as its edge does: everything up to the next bin counts.
  let start = prefixes[bin].w;
  let single = start == SINGLE && bin + 1u < span.x + span.y;
  let whole = prefixes[bin + select(0u, 1u, single)];
  if (lane == 0u) {
    add_partial(side, whole.x, whole.y, whole.z);
  }
  if (start == SINGLE) {
    return;
  }
  let end = start + prefixes[bin + 1u].x - whole.x;
  var count = 0u;
  var low = 0u;
  var high = 0u;
  for (var at = start + lane; at < end; at += WORKGROUP_SIZE) {
    let x = grouped[at];
    if (x <= threshold) {
      count += 1u;
      low += x;
      high += select(0u, 1u, low < x);
    }
  }
  add_partial(side, count, low, high);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = workgroup.x + workgroup.y * workgroups.x;
  if (index >= params.segments * params.clusters) {
    return;
  }
  let segment = index / params.clusters;
  let c = index % params.clusters;
  if (done[segment] != 0u) {
    return;
  }
  if (c > 0u) {
    add_below(0u, segment, (centroids[index - 1u] + centroids[index]) / 2u, lane);
  }
  if (c + 1u < params.clusters) {
    add_below(1u, segment, (centroids[index] + centroids[index + 1u]) / 2u, lane);
  } else {
    let span = spans[segment];
    add_below(1u, segment, edges[span.x + span.y - 1u], lane);
  }
  workgroupBarrier();
  if (lane == 0u) {
    let low = atomicLoad(&partial_low[1]);
    let under = atomicLoad(&partial_low[0]);
    let high = atomicLoad(&partial_high[1]) - atomicLoad(&partial_high[0]);
    totals[index * 3u] = atomicLoad(&partial_count[1]) - atomicLoad(&partial_count[0]);
    totals[index * 3u + 1u] = low - under;
    totals[index * 3u + 2u] = high - select(0u, 1u, low < under);
  }
}
