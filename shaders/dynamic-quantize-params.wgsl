// Scale and zero point of ONNX DynamicQuantizeLinear, for uint8, from a tensor's range.
//
//   lo = min(0, min x), hi = max(0, max x)      scale = f32(f32(hi - lo) / 255), or 1 where hi = lo
//   zero_point = clamp(rne(f32(0 - lo / scale)), 0, 255)
//
// buffer      shape  dtype
// input       count  f32 bits
// scale       1      f32 bits
// zero_point  1      i32
//
// One workgroup: each thread walks the tensor WORKGROUP_SIZE elements at a time, then a tree joins their ranges.
// A float's order is an integer order: flip every bit of a negative, the sign bit of the others. Two words a
// thread, 2 KiB of workgroup memory at 256.
// Edge cases: NaN is left out of the range; an all-zero tensor gives scale 1 and zero point 0. A range that is
// infinite or underflows makes lo / scale a NaN, which ONNX leaves open: ONNX Runtime's min(255, NaN) is 255. All in
// integers.

override WORKGROUP_SIZE: u32 = 256u;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> scale: array<u32>;
@group(0) @binding(3) var<storage, read_write> zero_point: array<i32>;

const KEY_OF_ZERO: u32 = 0x80000000u;
var<workgroup> partial_low: array<u32, WORKGROUP_SIZE>;
var<workgroup> partial_high: array<u32, WORKGROUP_SIZE>;

fn bits_of_key(key: u32) -> u32 {
  return select(~key, key ^ F32_SIGN, (key & F32_SIGN) != 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(local_invocation_index) lane: u32) {
  var low = KEY_OF_ZERO;
  var high = KEY_OF_ZERO;
  for (var i = lane; i < params.count; i += WORKGROUP_SIZE) {
    let bits = input[i];
    let key = select(bits ^ F32_SIGN, ~bits, (bits & F32_SIGN) != 0u);
    if (!f32_is_nan_bits(bits)) {
      low = min(low, key);
      high = max(high, key);
    }
  }
  partial_low[lane] = low;
  partial_high[lane] = high;
  for (var step = WORKGROUP_SIZE / 2u; step > 0u; step = step / 2u) {
    workgroupBarrier();
    if (lane < step) {
      partial_low[lane] = min(partial_low[lane], partial_low[lane + step]);
      partial_high[lane] = max(partial_high[lane], partial_high[lane + step]);
    }
  }
  if (lane != 0u) { return; }
  let lo = bits_of_key(partial_low[0]);
  let hi = bits_of_key(partial_high[0]);
  if (((lo | hi) & ~F32_SIGN) == 0u) {
    scale[0] = 0x3f800000u;
    zero_point[0] = 0;
    return;
  }
  let step_size = f32_divide_bits(f32_add_bits(hi, lo ^ F32_SIGN), 0x437f0000u);
  scale[0] = step_size;
  let zero = f32_divide_bits(lo, step_size) ^ F32_SIGN;
  zero_point[0] = select(clamp(round_half_even_to_i32(zero), 0, 255), 255, f32_is_nan_bits(zero));
}
