// Moves every centroid to the mean of its members, and retires the segments that have stopped moving.
//
//   centroid[c] = the float32 nearest to (sum of the members of c) / count[c], ties to even; without members it stays
//   threshold[c] = the largest float32 not above (centroid[c] + centroid[c + 1]) / 2
//   done = max over c of |centroid[c] - before[c]| <= tolerance
//
// buffer      shape                            dtype  holds
// scales      [segments, 4]                    u32    unit, planes, largest exponent, 0: see lib/float-keys
// totals      [segments, clusters, planes, 3]  u32    count, sum of limbs, low and high word (kmeans-accumulate), zeroed
// centroids   [segments, clusters]             u32    ascending keys, replaced
// thresholds  [segments, clusters]             u32    keys, replaced; the last of a segment stays
// done        [segments]                       u32    0 while the segment moves, else 1
// iterations  [segments]                       u32    steps taken so far
// remaining   [1]                              u32    segments that still move: the one word the host reads back
//
// One workgroup updates one segment; one thread every WORKGROUP_SIZE-th centroid.
//
// The mean is exact until its one rounding: the planes' sums become one integer of up to 12 digits of 24 bits and a top
// word, and long division by shift and subtract takes it bit by bit until the significand is full. count < 2^31.
// Means stay in order without a sort: members of c lie in (threshold[c - 1], threshold[c]], whose ends are floats, and
// so does their rounded mean, and a centroid that stays.
// Inertia never rises: members move to a nearer centroid, and no float is nearer to a mean than the rounded one.

struct Params {
  segments: u32,
  clusters: u32,
  planes: u32,
  tolerance: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scales: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> totals: array<u32>;
@group(0) @binding(3) var<storage, read_write> centroids: array<u32>;
@group(0) @binding(4) var<storage, read_write> thresholds: array<u32>;
@group(0) @binding(5) var<storage, read_write> done: array<u32>;
@group(0) @binding(6) var<storage, read_write> iterations: array<u32>;
@group(0) @binding(7) var<storage, read_write> remaining: array<atomic<u32>>;

override WORKGROUP_SIZE: u32 = 64;
const MAX_PLANES: u32 = 12u;

var<workgroup> partial_moved: atomic<u32>;

// The magnitude of a sum, and its sign: digits[0] is the lowest, the top word counts 2^(24 planes).
struct Sum {
  digits: array<u32, MAX_PLANES>,
  top: u32,
  negative: bool,
}

// Takes the 2^24 of every limb off again, and carries between the planes.
fn sum_of(at: u32, count: u32, planes: u32) -> Sum {
  var sum: Sum;
  // Signed: a plane's sum is within count * 2^24 of 0, and so what it carries within count < 2^31.
  var carry = 0i;
  for (var plane = 0u; plane < planes; plane++) {
    let low = totals[at + plane * 3u + 1u];
    let offset_low = count << 24u;
    var high = totals[at + plane * 3u + 2u] - (count >> 8u) - select(0u, 1u, low < offset_low);
    let own = low - offset_low;
    let carried = own + u32(carry);
    high += u32(carry >> 31u) + select(0u, 1u, carried < own);
    sum.digits[plane] = carried & 0xffffffu;
    carry = i32((high << 8u) | (carried >> 24u));
  }
  sum.negative = carry < 0;
  sum.top = u32(carry);
  if (sum.negative) {
    var borrow = 0u;
    for (var plane = 0u; plane < planes; plane++) {
      let digit = sum.digits[plane] + borrow;
      borrow = select(0u, 1u, digit > 0u);
      sum.digits[plane] = (0u - digit) & 0xffffffu;
    }
    sum.top = 0u - sum.top - borrow;
  }
  return sum;
}

fn mean_key(at: u32, count: u32, scale: vec4u) -> u32 {
  var sum = sum_of(at, count, scale.y);
  var any = sum.top;
  for (var plane = 0u; plane < scale.y; plane++) {
    any |= sum.digits[plane];
  }
  if (any == 0u) {
    return ZERO_KEY;
  }
  // The mean is below 2^(24 planes), so that the top word is the first remainder. Bits down to that of the smallest
  // subnormal, 24 of them from the first that is not 0.
  var rest = sum.top;
  var significand = 0u;
  var position = i32(24u * scale.y);
  let lowest = 1 - i32(scale.x);
  while (significand < 0x800000u && position > lowest) {
    position--;
    rest = rest * 2u;
    if (position >= 0) {
      rest += (sum.digits[position / 24] >> u32(position % 24)) & 1u;
    }
    let fits = rest >= count;
    rest -= select(0u, count, fits);
    significand = significand * 2u + select(0u, 1u, fits);
  }
  // What is left against half: the next bit, and whether anything follows it.
  rest = rest * 2u;
  var below = 0u;
  if (position > 0) {
    let next = position - 1;
    rest += (sum.digits[next / 24] >> u32(next % 24)) & 1u;
    below = sum.digits[next / 24] & ((1u << u32(next % 24)) - 1u);
    for (var plane = 0; plane < next / 24; plane++) {
      below |= sum.digits[plane];
    }
  }
  let half = rest >= count;
  let more = rest != select(0u, count, half) || below != 0u;
  let up = half && (more || (significand & 1u) == 1u);
  let magnitude = significand + (u32(position - lowest) << 23u) + select(0u, 1u, up);
  return select(ZERO_KEY + magnitude, ZERO_KEY - magnitude, sum.negative);
}

// A key in units of 2^(largest exponent - 150), for distances that a tolerance is compared with.
fn coarse(key: u32, largest: u32) -> i32 {
  let magnitude = magnitude_of_key(key);
  let drop = largest - exponent_of(magnitude);
  let value = i32(select(significand_of(magnitude) >> min(drop, 31u), 0u, drop > 31u));
  return select(value, -value, key < ZERO_KEY);
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
  let scale = scales[min(segment, params.segments - 1u)];
  if (moving) {
    for (var c = lane; c < params.clusters; c += WORKGROUP_SIZE) {
      let at = (segment * params.clusters + c) * params.planes * 3u;
      let count = totals[at];
      if (count > 0u) {
        let before = centroids[segment * params.clusters + c];
        let after = mean_key(at, count, scale);
        if (before != after) {
          let apart = abs(coarse(after, scale.z) - coarse(before, scale.z));
          atomicMax(&partial_moved, max(1u, u32(apart)));
        }
        centroids[segment * params.clusters + c] = after;
        for (var word = 0u; word < scale.y * 3u; word++) {
          totals[at + word] = 0u;
        }
      }
    }
  }
  storageBarrier();
  workgroupBarrier();
  if (moving) {
    for (var c = lane; c + 1u < params.clusters; c += WORKGROUP_SIZE) {
      let at = segment * params.clusters + c;
      thresholds[at] = midpoint_key(centroids[at], centroids[at + 1u]);
    }
    if (lane == 0u) {
      iterations[segment] += 1u;
      if (atomicLoad(&partial_moved) <= params.tolerance) {
        done[segment] = 1u;
        atomicSub(&remaining[0], 1u);
      }
    }
  }
}
