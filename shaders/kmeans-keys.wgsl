// Turns the bits of float32 weights, in place, into keys of the same order: what every later k-means step compares.
//
//   key = 2^31 + magnitude bits, or 2^31 - magnitude bits of a negative weight (lib/float-keys)
//
// A segment is one set of elements with its own codebook; a chunk is a run of one segment, and starts at a multiple of
// four elements, so that later kernels may read four at a time.
//
// buffer    shape            dtype  holds
// chunks    [chunkCount, 4]  u32    segment, first element, one past the last element, 0
// elements  [elements]       u32    the bits of finite float32 weights; replaced by their keys
//
// Elements of no chunk are left alone: the host zeroes them, and key 0 is below every threshold. In place, because the
// weights are not needed again and a second buffer of their size cost more than the conversion on lavapipe.
//
// One workgroup converts one chunk; one thread every WORKGROUP_SIZE-th element of it, so that loads coalesce.
//
// Nothing is rounded, and only integers are computed with: WGSL lets f32 comparisons flush subnormals, and these bits
// must be the same on every adapter. -0 gives the key of 0.

struct Params {
  chunkCount: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> elements: array<u32>;

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
  for (var at = chunk.y + lane; at < chunk.z; at += WORKGROUP_SIZE) {
    elements[at] = key_of_bits(elements[at]);
  }
}
