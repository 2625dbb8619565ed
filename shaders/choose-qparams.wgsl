// Chooses a scale and a zero point for each range of values.
//
//   SYMMETRIC 1: scale = max(|minimum|, |maximum|) / (QUANT_MAX - z),  z = 0, or the middle code if QUANT_MIN >= 0
//   SYMMETRIC 0: low = min(minimum, 0), high = max(maximum, 0), scale = (high - low) / (QUANT_MAX - QUANT_MIN),
//                z = clamp(rne(QUANT_MIN - low / scale), QUANT_MIN, QUANT_MAX)
//   A scale is at least 2^-126, the smallest normal f32; a range that is 0 alone has the scale 1, as in ONNX Runtime.
//
// buffer      shape  dtype
// minimum     count  f32 as its bits, finite
// maximum     count  f32 as its bits, finite
// scale       count  f32, as its bits
// zero_point  count  i32
//
// One thread chooses one pair. The asymmetric range is widened to hold 0, as in ONNX DynamicQuantizeLinear, so that
// 0 has an exact code.
//
// Rounding: each step is one correctly rounded f32 operation, made in integers (lib/exact-float.wgsl), so every
// adapter chooses the same scale and zero point, of subnormal values too. Widths are halved, so that no range overflows.

override WORKGROUP_SIZE: u32 = 64u;
override QUANT_MIN: i32 = -128i;
override QUANT_MAX: i32 = 127i;
override SYMMETRIC: u32 = 1u;

const SMALLEST_SCALE: u32 = 0x00800000u;
const ONE: u32 = 0x3f800000u;
const HALF: u32 = 0x3f000000u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> minimum: array<u32>;
@group(0) @binding(2) var<storage, read> maximum: array<u32>;
@group(0) @binding(3) var<storage, read_write> scale: array<u32>;
@group(0) @binding(4) var<storage, read_write> zero_point: array<i32>;

fn subtract(a: u32, b: u32) -> u32 {
  return f32_add_bits(a, b ^ F32_SIGN);
}

fn scale_of(width: u32, steps: u32) -> u32 {
  return select(max(f32_divide_bits(width, steps), SMALLEST_SCALE), ONE, width == 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (i >= params.count) {
    return;
  }
  // Magnitudes of floats are in the order of their bits.
  let low_size = minimum[i] & ~F32_SIGN;
  let high_size = maximum[i] & ~F32_SIGN;
  if (SYMMETRIC == 1u) {
    let middle = select(0i, (QUANT_MAX + 1i) / 2i, QUANT_MIN >= 0i);
    scale[i] = scale_of(max(low_size, high_size), f32_from_i32_bits(QUANT_MAX - middle));
    zero_point[i] = middle;
  } else {
    let low = select(0u, minimum[i], (minimum[i] & F32_SIGN) != 0u);
    let high = select(high_size, 0u, (maximum[i] & F32_SIGN) != 0u);
    let half_width = subtract(f32_multiply_bits(high, HALF), f32_multiply_bits(low, HALF));
    let half_steps = f32_multiply_bits(f32_from_i32_bits(QUANT_MAX - QUANT_MIN), HALF);
    var step = scale_of(half_width, half_steps);
    // The half of the smallest subnormal is 0, but the range is not.
    if (half_width == 0u && ((low & ~F32_SIGN) | high) != 0u) {
      step = SMALLEST_SCALE;
    }
    let lowest = subtract(f32_from_i32_bits(QUANT_MIN), f32_divide_bits(low, step));
    scale[i] = step;
    zero_point[i] = clamp(round_half_even_to_i32(lowest), QUANT_MIN, QUANT_MAX);
  }
}
