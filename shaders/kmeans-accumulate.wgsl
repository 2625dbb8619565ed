// Adds every element to the count and the sum of its nearest centroid, for up to 16 centroids: half of Lloyd's step.
//
//   code(x) = number of thresholds below x
//   totals[segment, c, plane] += (1, limb of x in the plane) for every x of the segment with code(x) = c
//
// buffer      shape                            dtype  holds
// keys        [elements / 4] x 4               u32    elements (kmeans-keys), 0 in the padding after a chunk's end
// thresholds  [segments, clusters]             u32    keys of the midpoints between centroids, rounded down
// scales      [segments, 4]                    u32    unit, planes, largest exponent, 0: see lib/float-keys
// done        [segments]                       u32    0 while the segment still moves; a done segment is left alone
// chunks      [chunkCount, 4]                  u32    segment, first element (a multiple of 4), one past the last, 0
// totals      [segments, clusters, planes, 3]  u32    count, sum's low word, sum's high word
//
// One dispatch adds up one plane of limbs: weights of float16 have one, most others two, and more only where magnitudes
// of a segment differ by more than 2^24. A segment with fewer planes is left alone.
//
// One workgroup reads one chunk; one thread reads every WORKGROUP_SIZE-th vector of four elements.
//
// No search and no atomics an element: a thread compares its four elements with all thresholds and keeps, a
// threshold, how many elements lie above and their sum. Those cumulative totals become a cluster's by subtracting the
// next one. That is 15 compares for an element where a binary search needs 4, but without a branch, a gather or an
// atomic: on lavapipe three times faster than kmeans-accumulate-wide for 16 centroids, and all of it stays in
// registers (THRESHOLDS is a const because only consts size function-scope arrays).
// A round is STEPS * 4 = 64 elements a thread, below 2^25 each: a u32 sum is safe until 127. After a round it moves
// into 64 bits (low, high). Workgroup memory: 16 clusters x 3 words = 192 bytes.
//
// A value exactly between two centroids belongs to the lower one. Equal centroids: the first takes the elements.
// Sums are integers and atomics on integers commute: any schedule gives the same bits. Elements in the padding are 0:
// above no threshold, and nothing in a sum; a chunk's element count comes from its ends.

struct Params {
  chunkCount: u32,
  clusters: u32,
  planes: u32,
  plane: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<vec4u>;
@group(0) @binding(2) var<storage, read> thresholds: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<vec4u>;
@group(0) @binding(4) var<storage, read> done: array<u32>;
@group(0) @binding(5) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> totals: array<atomic<u32>>;

override WORKGROUP_SIZE: u32 = 64;
const THRESHOLDS: u32 = 15u;
const STEPS: u32 = 16u;
const NEVER: u32 = 0xffffffffu;

// Cumulative totals of the workgroup: index 0 counts everything, index j + 1 the elements above threshold j.
var<workgroup> partial_count: array<atomic<u32>, THRESHOLDS + 1>;
var<workgroup> partial_low: array<atomic<u32>, THRESHOLDS + 1>;
var<workgroup> partial_high: array<atomic<u32>, THRESHOLDS + 1>;

fn add_partial(index: u32, count: u32, low: u32, high: u32) {
  if (count == 0u) {
    return;
  }
  atomicAdd(&partial_count[index], count);
  let before = atomicAdd(&partial_low[index], low);
  // The wrap-around of each atomic addition is seen by exactly one thread, so no carry is lost or counted twice.
  let carry = high + select(0u, 1u, before + low < before);
  if (carry > 0u) {
    atomicAdd(&partial_high[index], carry);
  }
}

fn sum4(v: vec4u) -> u32 {
  return v.x + v.y + v.z + v.w;
}

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
  let segment = chunk.x;
  let scale = scales[segment];
  if (done[segment] != 0u || params.plane >= scale.y) {
    return;
  }
  let base = i32(scale.x + 24u * params.plane);

  var own: array<u32, THRESHOLDS>;
  for (var j = 0u; j < THRESHOLDS; j++) {
    own[j] = NEVER;
    if (j + 1u < params.clusters) {
      own[j] = thresholds[segment * params.clusters + j];
    }
  }

  let first = chunk.y / 4u;
  let last = (chunk.z + 3u) / 4u;
  var all_low = 0u;
  var all_high = 0u;
  var counts: array<u32, THRESHOLDS>;
  var lows: array<u32, THRESHOLDS>;
  var highs: array<u32, THRESHOLDS>;
  for (var round = first; round < last; round += STEPS * WORKGROUP_SIZE) {
    var all = 0u;
    // Spelled out: without the initializer an array declared in a loop kept the previous round's values (Mesa 25.0.7's
    // lavapipe under Dawn 0.6.2, November 2026; delete when kmeans-accumulate.test.ts passes without it there).
    var sums = array<u32, THRESHOLDS>();
    for (var step = 0u; step < STEPS; step++) {
      let at = round + step * WORKGROUP_SIZE + lane;
      if (at >= last) {
        break;
      }
      let x = keys[at];
      let limbs = vec4u(
        limb_of_key(x.x, base),
        limb_of_key(x.y, base),
        limb_of_key(x.z, base),
        limb_of_key(x.w, base),
      );
      all += sum4(limbs);
      for (var j = 0u; j < THRESHOLDS; j++) {
        let above = x > vec4u(own[j]);
        counts[j] += sum4(select(vec4u(), vec4u(1u), above));
        sums[j] += sum4(select(vec4u(), limbs, above));
      }
    }
    all_low += all;
    all_high += select(0u, 1u, all_low < all);
    for (var j = 0u; j < THRESHOLDS; j++) {
      lows[j] += sums[j];
      highs[j] += select(0u, 1u, lows[j] < sums[j]);
    }
  }

  // A thread's own count does not matter for index 0: the chunk's length is written below.
  add_partial(0u, 1u, all_low, all_high);
  for (var j = 0u; j < THRESHOLDS; j++) {
    add_partial(j + 1u, counts[j], lows[j], highs[j]);
  }
  workgroupBarrier();

  for (var c = lane; c < params.clusters; c += WORKGROUP_SIZE) {
    var count = select(atomicLoad(&partial_count[c]), chunk.z - chunk.y, c == 0u);
    var low = atomicLoad(&partial_low[c]);
    var high = atomicLoad(&partial_high[c]);
    if (c + 1u < params.clusters) {
      count -= atomicLoad(&partial_count[c + 1u]);
      let next = atomicLoad(&partial_low[c + 1u]);
      high -= atomicLoad(&partial_high[c + 1u]) + select(0u, 1u, low < next);
      low -= next;
    }
    if (count > 0u) {
      let at = ((segment * params.clusters + c) * params.planes + params.plane) * 3u;
      atomicAdd(&totals[at], count);
      let before = atomicAdd(&totals[at + 1u], low);
      atomicAdd(&totals[at + 2u], high + select(0u, 1u, before + low < before));
    }
  }
}
