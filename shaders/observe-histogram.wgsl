// Counts the values of a tensor in 4096 bins of equal width around 0, as wide as the tensor's extremes want: what a
// calibration by percentile, mse or entropy looks at.
//
//   limit = the power of two above max(|minimum|, |maximum|), 2^-125 at least
//   bin(x) = floor(x * 2048 / limit) + 2048
//   counts[s, b] = how many values of slice s have bin b
//
// buffer   shape          dtype
// input    count          f32; of each row of row_length the first channels are values, the rest is padding
// minimum  1              f32, as reduce-min-max leaves it
// maximum  1              f32
// counts   slices x BINS  u32
//
// One workgroup counts one slice: its threads step through the tensor slices * WORKGROUP_SIZE elements at a time. It
// counts in workgroup memory, 4 * BINS bytes: the 16 KiB that every adapter has; the host adds the slices up.
//
// Exact on every adapter: limit and bins are powers of two, so that a bin is a shift of the mantissa's bits; subnormals
// are never flushed, and -0 is in the bin of 0. What is no finite value lands in an end bin; the extremes tell of it.

override WORKGROUP_SIZE: u32 = 256u;
const BINS: u32 = 4096u;
const HALF_BINS: u32 = 2048u;
// A mantissa has 24 bits, and the largest magnitude's own has the 11 of HALF_BINS.
const TOP_SHIFT: u32 = 13u;

struct Params {
  count: u32,
  row_length: u32,
  channels: u32,
  slices: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> minimum: array<u32>;
@group(0) @binding(3) var<storage, read> maximum: array<u32>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;

var<workgroup> bin_counts: array<atomic<u32>, BINS>;

// Subnormals have the exponent of the smallest normals, without their leading bit.
fn exponent_of(bits: u32) -> u32 {
  return max((bits >> 23u) & 0xffu, 1u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let slice = workgroup.x;
  let top = max(exponent_of(minimum[0]), exponent_of(maximum[0]));
  let stride = params.slices * WORKGROUP_SIZE;
  for (var i = slice * WORKGROUP_SIZE + lane; i < params.count; i += stride) {
    if (i % params.row_length >= params.channels) {
      continue;
    }
    let bits = input[i];
    let exponent = exponent_of(bits);
    let mantissa = (bits & 0x7fffffu) | select(0u, 0x800000u, (bits & 0x7f800000u) != 0u);
    let shift = min(TOP_SHIFT + max(top, exponent) - exponent, 31u);
    let steps = mantissa >> shift;
    // Rounded down, not towards 0.
    let rest = select(0u, 1u, (steps << shift) != mantissa);
    let bin = select(HALF_BINS + steps, HALF_BINS - steps - rest, (bits >> 31u) == 1u);
    atomicAdd(&bin_counts[bin], 1u);
  }
  workgroupBarrier();
  for (var bin = lane; bin < BINS; bin += WORKGROUP_SIZE) {
    counts[slice * BINS + bin] = atomicLoad(&bin_counts[bin]);
  }
}
