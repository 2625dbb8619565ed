// Adds every element to the count and the sum of its nearest centroid, for up to 256 centroids: half of Lloyd's step.
//
//   code(x) = number of thresholds below x
//   totals[segment, c, plane] += (1, limb of x in the plane) for every x of the segment with code(x) = c
//
// buffer      shape                            dtype  holds
// keys        [elements]                       u32    elements (kmeans-keys)
// thresholds  [segments, clusters]             u32    keys of the midpoints between centroids, rounded down
// scales      [segments, 4]                    u32    unit, planes, largest exponent, 0: see lib/float-keys
// done        [segments]                       u32    0 while the segment still moves; a done segment is left alone
// chunks      [chunkCount, 4]                  u32    segment, first element, one past the last, 0
// totals      [segments, clusters, planes, 3]  u32    count, sum's low word, sum's high word
//
// One dispatch adds up one plane of limbs: weights of float16 have one, most others two, and more only where magnitudes
// of a segment differ by more than 2^24. A segment with fewer planes is left alone.
//
// One workgroup reads one chunk; one thread reads every WORKGROUP_SIZE-th element, finds its code as kmeans-assign does
// (15 compares with pivots in registers, then four binary steps between two of them), and adds it to the workgroup's
// own totals with integer atomics.
//
// Workgroup memory: 256 thresholds + 256 x 3 words = 4 KiB. A 64-bit sum is two words: the thread whose addition
// wraps the low word adds one to the high word, which happens at most once in 128 elements.
// kmeans-accumulate is the faster kernel for 16 centroids and fewer.
//
// A value exactly between two centroids belongs to the lower one. Equal centroids: the first takes the elements.
// Sums are integers and atomics on integers commute: any schedule gives the same bits.

struct Params {
  chunkCount: u32,
  clusters: u32,
  planes: u32,
  plane: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> thresholds: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<vec4u>;
@group(0) @binding(4) var<storage, read> done: array<u32>;
@group(0) @binding(5) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> totals: array<atomic<u32>>;

override WORKGROUP_SIZE: u32 = 64;
const MAX_CLUSTERS: u32 = 256u;
const NEVER: u32 = 0xffffffffu;

var<workgroup> tile_thresholds: array<u32, MAX_CLUSTERS>;
var<workgroup> partial_count: array<atomic<u32>, MAX_CLUSTERS>;
var<workgroup> partial_low: array<atomic<u32>, MAX_CLUSTERS>;
var<workgroup> partial_high: array<atomic<u32>, MAX_CLUSTERS>;

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

  for (var j = lane; j < MAX_CLUSTERS; j += WORKGROUP_SIZE) {
    tile_thresholds[j] = NEVER;
    if (j + 1u < params.clusters) {
      tile_thresholds[j] = thresholds[segment * params.clusters + j];
    }
  }
  workgroupBarrier();
  let stride = select(16u, 1u, params.clusters <= 16u);
  var pivots: array<u32, 15>;
  for (var j = 0u; j < 15u; j++) {
    pivots[j] = tile_thresholds[(j + 1u) * stride - 1u];
  }

  for (var at = chunk.y + lane; at < chunk.z; at += WORKGROUP_SIZE) {
    let x = keys[at];
    var code = 0u;
    for (var j = 0u; j < 15u; j++) {
      code += select(0u, stride, x > pivots[j]);
    }
    for (var step = stride / 2u; step > 0u; step /= 2u) {
      code += select(0u, step, x > tile_thresholds[code + step - 1u]);
    }
    atomicAdd(&partial_count[code], 1u);
    let limb = limb_of_key(x, base);
    let before = atomicAdd(&partial_low[code], limb);
    if (before + limb < before) {
      atomicAdd(&partial_high[code], 1u);
    }
  }
  workgroupBarrier();

  for (var c = lane; c < params.clusters; c += WORKGROUP_SIZE) {
    let count = atomicLoad(&partial_count[c]);
    if (count > 0u) {
      let at = ((segment * params.clusters + c) * params.planes + params.plane) * 3u;
      let low = atomicLoad(&partial_low[c]);
      let high = atomicLoad(&partial_high[c]);
      atomicAdd(&totals[at], count);
      let before = atomicAdd(&totals[at + 1u], low);
      atomicAdd(&totals[at + 2u], high + select(0u, 1u, before + low < before));
    }
  }
}
