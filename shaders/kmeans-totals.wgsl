// Counts and sums each centroid's members from sorted elements: what kmeans-accumulate adds up, without reading them all.
//
//   below(t) = (count, sum of limbs) of all elements x <= t
//   totals[segment, c, plane] = below(threshold[c]) - below(threshold[c - 1]), the outermost thresholds at infinity
//
// buffer      shape                            dtype  holds
// thresholds  [segments, clusters]             u32    keys of the midpoints between centroids, rounded down
// scales      [segments, 4]                    u32    unit, planes, largest exponent, 0: see lib/float-keys
// done        [segments]                       u32    0 while the segment still moves; a done segment is left alone
// spans       [segments, 4]                    u32    the segment's first element in `sorted`, elements, first block, 0
// sorted      [elements]                       u32    keys, ascending within each segment
// prefixes    [blocks, planes, 2]              u32    sums of the limbs before the block: low word, high word
// totals      [segments, clusters, planes, 3]  u32    count, sum's low word, sum's high word, replaced
//
// One workgroup computes one centroid's totals; its threads share the block that a threshold cuts.
//
// A block is BLOCK elements of one segment, counted from its first; n elements have floor(n / BLOCK) + 1 blocks, so that
// every rank lies in one. An iteration costs clusters x (log2 elements + BLOCK) instead of a pass over the elements: on
// lavapipe, and where the host has sorted the elements anyway, sorting pays for itself within ten iterations.
//
// The results are kmeans-accumulate's, bit for bit: sums are integers, and a value on a threshold counts as below it.

struct Params {
  segments: u32,
  clusters: u32,
  planes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> thresholds: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<vec4u>;
@group(0) @binding(3) var<storage, read> done: array<u32>;
@group(0) @binding(4) var<storage, read> spans: array<vec4u>;
@group(0) @binding(5) var<storage, read> sorted: array<u32>;
@group(0) @binding(6) var<storage, read> prefixes: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> totals: array<u32>;

override WORKGROUP_SIZE: u32 = 32;
const BLOCK: u32 = 64u;
const MAX_PLANES: u32 = 12u;

// Index 2 plane: below the lower threshold; 2 plane + 1: below the upper one.
var<workgroup> partial_low: array<atomic<u32>, 2 * MAX_PLANES>;
var<workgroup> partial_high: array<atomic<u32>, 2 * MAX_PLANES>;

fn add_partial(index: u32, low: u32, high: u32) {
  let before = atomicAdd(&partial_low[index], low);
  let carry = high + select(0u, 1u, before + low < before);
  if (carry > 0u) {
    atomicAdd(&partial_high[index], carry);
  }
}

// How many of the segment's elements are not above the threshold.
fn rank(span: vec4u, threshold: u32) -> u32 {
  var low = 0u;
  var size = span.y;
  while (size > 0u) {
    let half = size / 2u;
    let under = sorted[span.x + low + half] <= threshold;
    low += select(0u, half + 1u, under);
    size = select(half, size - half - 1u, under);
  }
  return low;
}

fn add_below(side: u32, span: vec4u, scale: vec4u, count: u32, lane: u32) {
  let block = count / BLOCK;
  for (var plane = 0u; plane < scale.y; plane++) {
    if (lane == 0u) {
      let whole = prefixes[(span.z + block) * params.planes + plane];
      add_partial(plane * 2u + side, whole.x, whole.y);
    }
    let base = i32(scale.x + 24u * plane);
    // At most BLOCK limbs below 2^25 each: a u32 holds their sum.
    var sum = 0u;
    for (var at = block * BLOCK + lane; at < count; at += WORKGROUP_SIZE) {
      sum += limb_of_key(sorted[span.x + at], base);
    }
    add_partial(plane * 2u + side, sum, 0u);
  }
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
  let span = spans[segment];
  let scale = scales[segment];
  var begin = 0u;
  if (c > 0u) {
    begin = rank(span, thresholds[index - 1u]);
  }
  var end = span.y;
  if (c + 1u < params.clusters) {
    end = rank(span, thresholds[index]);
  }
  add_below(0u, span, scale, begin, lane);
  add_below(1u, span, scale, end, lane);
  workgroupBarrier();
  for (var plane = lane; plane < scale.y; plane += WORKGROUP_SIZE) {
    let low = atomicLoad(&partial_low[plane * 2u + 1u]);
    let under = atomicLoad(&partial_low[plane * 2u]);
    let high = atomicLoad(&partial_high[plane * 2u + 1u]) - atomicLoad(&partial_high[plane * 2u]);
    let at = (index * params.planes + plane) * 3u;
    totals[at] = end - begin;
    totals[at + 1u] = low - under;
    totals[at + 2u] = high - select(0u, 1u, low < under);
  }
}
