// Turns packed integer codes back into f32 values (ONNX DequantizeLinear).
//
//   channel   = (i / axis_stride) % axis_size
//   output[i] = f32(code[i] - zero_point[channel]) * scale[channel]
//
// buffer      shape                   dtype
// input       ceil(count / (32/BITS)) u32; code i in bits BITS * (i % (32/BITS)) up of word i / (32/BITS), lowest first
// scale       axis_size               f32, positive and finite
// zero_point  axis_size               i32, from -128 to 255
// output      count                   f32
//
// One thread reads one input word and writes its 4, 8 or 16 neighbouring values: 5 bytes of traffic a value at 8 bits.
// SIGNED 1 reads two's complement codes, 0 plain ones. Layouts per tensor, axis and group as in quantize-linear.
//
// Rounding: the difference is taken in i32, where it is exact, and the product is rounded once, to nearest even. WGSL
// leaves the rounding direction of `*` open and may flush subnormals, so the at most 9 x 24-bit product is made in
// integers: the same bits on every adapter, subnormals included; an overflow gives infinity. A difference of 0 is +0.

override WORKGROUP_SIZE: u32 = 256u;
override BITS: u32 = 8u;
override SIGNED: u32 = 1u;

struct Params {
  count: u32,
  axis_size: u32,
  axis_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> scale: array<u32>;
@group(0) @binding(3) var<storage, read> zero_point: array<i32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;

// The f32 bits of factor * scale.
fn scaled(factor: i32, scale_bits: u32) -> u32 {
  if (factor == 0) {
    return 0u;
  }
  let exponent = max((scale_bits >> 23u) & 255u, 1u);
  let mantissa = select(scale_bits & 0x7fffffu, (scale_bits & 0x7fffffu) | 0x800000u, (scale_bits >> 23u) != 0u);
  // product = high * 2^12 + low, at most 33 bits wide
  let magnitude = u32(abs(factor));
  let low_product = magnitude * (mantissa & 0xfffu);
  let high = magnitude * (mantissa >> 12u) + (low_product >> 12u);
  let low = low_product & 0xfffu;
  let width = select(32u - countLeadingZeros(low), 44u - countLeadingZeros(high), high != 0u);
  let dropped = max(width, 24u) - 24u;
  var kept = (high << (12u - dropped)) | (low >> dropped);
  let rest = 2u * (low & ((1u << dropped) - 1u));
  if (rest > (1u << dropped) || (rest == (1u << dropped) && (kept & 1u) == 1u)) {
    kept++;
  }
  // A subnormal scale has exponent 1 and no leading bit, so one formula serves; a carry out of kept moves up itself.
  let bits = min(((exponent + dropped - 1u) << 23u) + kept, 0x7f800000u);
  return select(bits, bits | 0x80000000u, factor < 0);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let first = word * (32u / BITS);
  if (first >= params.count) {
    return;
  }
  let end = min(first + 32u / BITS, params.count);
  let packed = input[word];
  var step = first % params.axis_stride;
  var channel = (first / params.axis_stride) % params.axis_size;
  for (var i = first; i < end; i++) {
    if (step == params.axis_stride) {
      step = 0u;
      channel = select(channel + 1u, 0u, channel + 1u == params.axis_size);
    }
    let at_top = packed << (32u - BITS - BITS * (i - first));
    let code = select(i32(at_top >> (32u - BITS)), bitcast<i32>(at_top) >> (32u - BITS), SIGNED == 1u);
    output[i] = scaled(code - zero_point[channel], scale[channel]);
    step++;
  }
}
