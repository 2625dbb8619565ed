// Chooses a scale and a zero point for each range of values.
//
//   SYMMETRIC 1: scale = max(|minimum|, |maximum|, 5e-7) / (QUANT_MAX - z),  z = 0, or the middle code if QUANT_MIN >= 0
//   SYMMETRIC 0: low = min(minimum, 0), high = max(maximum, 0), scale = max(high - low, 5e-7) / (QUANT_MAX - QUANT_MIN),
//                z = clamp(rne(QUANT_MIN - low / scale), QUANT_MIN, QUANT_MAX)
//
// buffer      shape  dtype
// minimum     count  f32, finite
// maximum     count  f32, finite
// scale       count  f32, as its bits
// zero_point  count  i32
//
// One thread chooses one pair. The asymmetric range is widened to hold 0, as in ONNX DynamicQuantizeLinear, so that
// 0 has an exact code. An all-zero range takes the floor of 5e-7 instead of a scale of 0.
//
// Rounding: each step is one correctly rounded f32 operation, made in integers (lib/exact-float.wgsl), so every
// adapter chooses the same scale and zero point. Widths are halved, which is exact, so that no range overflows.

override WORKGROUP_SIZE: u32 = 64u;
override QUANT_MIN: i32 = -128i;
override QUANT_MAX: i32 = 127i;
override SYMMETRIC: u32 = 1u;

const SMALLEST_RANGE = 5e-7f;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> minimum: array<f32>;
@group(0) @binding(2) var<storage, read> maximum: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<u32>;
@group(0) @binding(4) var<storage, read_write> zero_point: array<i32>;

fn subtract(a: u32, b: u32) -> u32 {
  return f32_add_bits(a, b ^ F32_SIGN);
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
  if (SYMMETRIC == 1u) {
    let middle = select(0i, (QUANT_MAX + 1i) / 2i, QUANT_MIN >= 0i);
    let largest = max(max(abs(minimum[i]), abs(maximum[i])), SMALLEST_RANGE);
    scale[i] = f32_divide_bits(bitcast<u32>(largest), f32_from_i32_bits(QUANT_MAX - middle));
    zero_point[i] = middle;
  } else {
    let low = min(minimum[i], 0.0);
    let high = max(maximum[i], 0.0);
    let half_width = subtract(bitcast<u32>(high * 0.5), bitcast<u32>(low * 0.5));
    let floored = max(bitcast<f32>(half_width), SMALLEST_RANGE * 0.5);
    let half_steps = bitcast<u32>(f32(QUANT_MAX - QUANT_MIN) * 0.5);
    let step = f32_divide_bits(bitcast<u32>(floored), half_steps);
    let lowest = subtract(f32_from_i32_bits(QUANT_MIN), f32_divide_bits(bitcast<u32>(low), step));
    scale[i] = step;
    zero_point[i] = clamp(round_half_even_to_i32(lowest), QUANT_MIN, QUANT_MAX);
  }
}
