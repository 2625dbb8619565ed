// Turns float32 weights, in place, into the fixed point that every later k-means step computes in.
//
//   fixed = 2^24 + round_half_even(value * 2^(150 - exponent)), from 1 to 2^25 - 1
//
// where `exponent` is the biased exponent (at least 1) of the segment's largest magnitude: that element keeps all
// 24 bits of its significand. A segment is one set of elements with its own codebook; a chunk is a run of one
// segment, and starts at a multiple of four elements, so that later kernels may read four at a time.
//
// buffer     shape            dtype  holds
// exponents  [segments]       u32    biased exponent of the segment's largest magnitude, 1 to 254
// chunks     [chunkCount, 4]  u32    segment, first element, one past the last element, 0
// elements   [elements]       u32    the bits of finite float32 weights; replaced by their fixed point
//
// Elements of no chunk are left alone: the host zeroes them. In place, because the weights are not needed again and a
// second buffer of their size cost more than the conversion on lavapipe.
//
// One workgroup converts one chunk; one thread every WORKGROUP_SIZE-th element of it, so that loads coalesce.
//
// Only integer operations on the float's bits: WGSL lets f32 arithmetic round either way and flush subnormals, and
// these bits must be the same on every adapter. Adding 2^24 keeps everything unsigned, and leaves 0, which is below
// every threshold and adds nothing to a sum, for the padding between segments. -0 gives 2^24, as 0 does; a
// subnormal gives what the formula says; a magnitude under 2^-25 of the segment's power of two gives 2^24.

struct Params {
  chunkCount: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> exponents: array<u32>;
@group(0) @binding(2) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> elements: array<u32>;

override WORKGROUP_SIZE: u32 = 64;

const ZERO: u32 = 1u << 24u;

fn to_fixed(bits: u32, exponent: u32) -> u32 {
  let biased = (bits >> 23u) & 0xffu;
  let significand = select((bits & 0x7fffffu) | 0x800000u, bits & 0x7fffffu, biased == 0u);
  // A subnormal has the exponent of the smallest normal number, without the implicit bit.
  let drop = exponent - max(biased, 1u);
  var magnitude = 0u;
  // From 25 dropped bits on even the largest significand is below half a unit; shifts of 32 must not happen.
  if (drop < 25u) {
    magnitude = significand >> drop;
    let rest = significand - (magnitude << drop);
    let half = (1u << drop) >> 1u;
    let up = rest > half || (rest == half && half > 0u && (magnitude & 1u) == 1u);
    magnitude += select(0u, 1u, up);
  }
  return select(ZERO + magnitude, ZERO - magnitude, (bits >> 31u) == 1u);
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
  let exponent = exponents[chunk.x];
  for (var at = chunk.y + lane; at < chunk.z; at += WORKGROUP_SIZE) {
    elements[at] = to_fixed(elements[at], exponent);
  }
}
