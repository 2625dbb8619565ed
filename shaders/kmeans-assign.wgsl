// Writes the code of every element: the index of its nearest centroid.
//
//   code(x) = number of thresholds below x
//
// buffer      shape                 dtype  holds
// keys        [elements / 4] x 4    u32    elements (kmeans-keys), 0 in the padding after a chunk's end
// thresholds  [segments, clusters]  u32    keys of the midpoints between centroids, rounded down; the last is 2^32 - 1
// chunks      [chunkCount, 4]       u32    segment, first element (a multiple of 4), one past the last, 0
// codes       [elements / 4]        u32    four codes a word, the first in bits 0-7; 0 in the padding
//
// One workgroup codes one chunk; one thread every WORKGROUP_SIZE-th word of four codes.
//
// A code is found in two levels: 15 compares with pivots in registers, every 16th threshold, then four steps of a
// binary search between two pivots in workgroup memory (1 KiB). With 16 clusters and fewer the pivots are all the
// thresholds and nothing is left to search. Eight binary steps instead were three times slower for 16 clusters on lavapipe.
//
// A value exactly between two centroids belongs to the lower one; a threshold rounded down to a float parts the floats
// as the exact midpoint does. Equal centroids: the first takes the elements, so that the codebook's repeated tail is
// never used.

struct Params {
  chunkCount: u32,
  clusters: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<vec4u>;
@group(0) @binding(2) var<storage, read> thresholds: array<u32>;
@group(0) @binding(3) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;

override WORKGROUP_SIZE: u32 = 64;
const MAX_CLUSTERS: u32 = 256u;
const NEVER: u32 = 0xffffffffu;

var<workgroup> tile_thresholds: array<u32, MAX_CLUSTERS>;

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
  for (var j = lane; j < MAX_CLUSTERS; j += WORKGROUP_SIZE) {
    tile_thresholds[j] = NEVER;
    if (j + 1u < params.clusters) {
      tile_thresholds[j] = thresholds[chunk.x * params.clusters + j];
    }
  }
  workgroupBarrier();
  let stride = select(16u, 1u, params.clusters <= 16u);
  var pivots: array<u32, 15>;
  for (var j = 0u; j < 15u; j++) {
    pivots[j] = tile_thresholds[(j + 1u) * stride - 1u];
  }

  let last = (chunk.z + 3u) / 4u;
  for (var at = chunk.y / 4u + lane; at < last; at += WORKGROUP_SIZE) {
    let x = keys[at];
    var code = vec4u();
    for (var j = 0u; j < 15u; j++) {
      code += select(vec4u(), vec4u(stride), x > vec4u(pivots[j]));
    }
    for (var step = stride / 2u; step > 0u; step /= 2u) {
      let probe = code + (step - 1u);
      let probed = vec4u(
        tile_thresholds[probe.x],
        tile_thresholds[probe.y],
        tile_thresholds[probe.z],
        tile_thresholds[probe.w],
      );
      code += select(vec4u(), vec4u(step), x > probed);
    }
    codes[at] = code.x | (code.y << 8u) | (code.z << 16u) | (code.w << 24u);
  }
}
