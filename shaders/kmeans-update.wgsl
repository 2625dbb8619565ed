// Moves every centroid to the mean of its members, and retires the segments that have stopped moving.
//
//   centroid[c] = round_half_even(sum[c] / count[c]); a centroid without members stays where it is
//   done = max over c of |centroid[c] - before[c]| <= tolerance
//
// buffer      shape                    dtype  holds
// totals      [segments, clusters, 3]  u32    count, sum's low and high word (kmeans-accumulate); zeroed for the next step
// centroids   [segments, clusters]     u32    ascending fixed-point centroids, replaced
// done        [segments]               u32    0 while the segment moves, else 1
// iterations  [segments]               u32    steps taken so far
// remaining   [1]                      u32    segments that still move: the one word the host reads back
//
// One workgroup updates one segment; one thread every WORKGROUP_SIZE-th centroid.
//
// The mean is exact: sum < count * 2^25, so 25 steps of long division by shift and subtract give the quotient, and the
// remainder rounds it. Means stay in order without a sort: members of c lie in (threshold[c - 1], threshold[c]], an
// interval with integer ends, so its rounded mean does too, and so does a centroid that stays.
// Inertia never rises by more than the rounding of the means: an empty cluster costs nothing and takes nothing away.

struct Params {
  segments: u32,
  clusters: u32,
  tolerance: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> totals: array<u32>;
@group(0) @binding(2) var<storage, read_write> centroids: array<u32>;
@group(0) @binding(3) var<storage, read_write> done: array<u32>;
@group(0) @binding(4) var<storage, read_write> iterations: array<u32>;
@group(0) @binding(5) var<storage, read_write> remaining: array<atomic<u32>>;

override WORKGROUP_SIZE: u32 = 64;

var<workgroup> partial_moved: atomic<u32>;

fn mean(count: u32, low: u32, high: u32) -> u32 {
  var rest_low = low;
  var rest_high = high;
  var quotient = 0u;
  for (var bit = 25u; bit > 0u; bit--) {
    let shift = bit - 1u;
    let part_low = count << shift;
    // count >> 32 would be undefined for a shift of 0, hence the two steps.
    let part_high = (count >> 1u) >> (31u - shift);
    if (rest_high > part_high || (rest_high == part_high && rest_low >= part_low)) {
      rest_high -= part_high + select(0u, 1u, rest_low < part_low);
      rest_low -= part_low;
      quotient |= 1u << shift;
    }
  }
  // rest < count <= 2^32 - 1, and comparing with count - rest cannot overflow as doubling would.
  let other = count - rest_low;
  let up = rest_low > other || (rest_low == other && (quotient & 1u) == 1u);
  return quotient + select(0u, 1u, up);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let segment = workgroup.x + workgroup.y * workgroups.x;
  // Every thread reads `done` before the barrier and thread 0 writes it after: all of them take the same branch.
  let moving = segment < params.segments && done[min(segment, params.segments - 1u)] == 0u;
  if (moving) {
    for (var c = lane; c < params.clusters; c += WORKGROUP_SIZE) {
      let at = segment * params.clusters + c;
      let count = totals[at * 3u];
      if (count > 0u) {
        let before = centroids[at];
        let after = mean(count, totals[at * 3u + 1u], totals[at * 3u + 2u]);
        centroids[at] = after;
        atomicMax(&partial_moved, max(before, after) - min(before, after));
        totals[at * 3u] = 0u;
        totals[at * 3u + 1u] = 0u;
        totals[at * 3u + 2u] = 0u;
      }
    }
  }
  workgroupBarrier();
  if (moving && lane == 0u) {
    iterations[segment] += 1u;
    if (atomicLoad(&partial_moved) <= params.tolerance) {
      done[segment] = 1u;
      atomicSub(&remaining[0], 1u);
    }
  }
}
