// One function of one to three f32 tensors, element by element, with numpy's broadcasting.
//
//   output[i] = OP(a[at_a(i)], b[at_b(i)], c[at_c(i)])
//
// buffer   shape   dtype
// a, b, c  any     f32; an operand that OP doesn't read is bound to any other
// axes   rank    vec4u an axis, the innermost first: its size, then the strides of a, b and c along it (0 repeats)
// output   count   u32: bits of an f32; 0 or 1 of a comparison; bits of an i32 or u32 of a conversion
//
// One thread makes one element. Axes that lie behind each other in every operand are one axis: the host merges them, so
// that a tensor with itself has rank 1, whatever its shape, and needs no division.
//
// NaN in gives NaN out of every function; comparisons with it are false, but for "not equal". Elementary functions are
// those of lib/float-math.wgsl. Conversions truncate and saturate; NaN becomes 0. `round` takes ties to even.

override OP: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  rank: u32,
  p: f32,
  q: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> c: array<f32>;
@group(0) @binding(4) var<storage, read> axes: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

fn unary(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let p = params.p;
  let q = params.q;
  switch OP {
    case 1u: { return select(0.0, x, x > 0.0); } // relu
    case 2u: { return select(x * p, x, x >= 0.0); } // leakyRelu
    case 3u: { return sigmoid_of(x); }
    case 4u: { return clamp(x * p + q, 0.0, 1.0); } // hardSigmoid
    case 5u: { return x * clamp(x / 6.0 + 0.5, 0.0, 1.0); } // hardSwish
    case 6u: { return tanh_of(x); }
    case 7u: { return erf_of(x); }
    case 8u: { return gelu_of(x); }
    case 9u: { return 0.5 * x * (1.0 + tanh_of(0.7978845608 * (x + 0.044715 * x * x * x))); } // geluTanh
    case 10u: { return select(p * (exp_of(x) - 1.0), x, x >= 0.0); } // elu
    case 11u: { return q * select(p * (exp_of(x) - 1.0), x, x > 0.0); } // selu
    case 12u: { return select(p * (exp_of(x / p) - 1.0), x, x >= 0.0); } // celu
    case 13u: { return softplus_of(x); }
    case 14u: { return x / (1.0 + abs(x)); } // softsign
    case 15u: { return x * tanh_of(softplus_of(x)); } // mish
    case 16u: { return select(0.0, x, x > p); } // thresholdedRelu
    case 17u: { return exp_of(x); }
    case 18u: { return log_of(x); }
    case 19u: { return root(x); } // sqrt
    case 20u: { return abs(x); }
    case 21u: { return from_bits(bitcast<u32>(x) ^ 0x80000000u); } // neg
    case 22u: { return divide(1.0, x); } // reciprocal
    case 23u: { return floor(x); }
    case 24u: { return ceil(x); }
    case 25u: { return round(x); }
    case 26u: { return sign(x); }
    case 27u: { return sin_of(x, 0); }
    case 28u: { return sin_of(x, 1); } // cos
    case 29u: { return x * sigmoid_of(x * p); } // swish
    case 30u: { return atan_of(x); }
    case 31u: { return divide(sin_of(x, 0), sin_of(x, 1)); } // tan
    case 32u: { return atan_of(divide(x, root((1.0 - x) * (1.0 + x)))); } // asin
    case 33u: { return 2.0 * atan_of(divide(root(1.0 - x), root(1.0 + x))); } // acos
    case 34u: { return hyperbolic(x, -1.0); } // sinh
    case 35u: { return hyperbolic(x, 1.0); } // cosh
    case 36u: { return asinh_of(x); }
    case 37u: { return acosh_of(x); } // acosh
    case 38u: { return 0.5 * log_of(divide(1.0 + x, 1.0 - x)); } // atanh
    case 39u: { return select(select(0.0, x + q, x < -p), x - q, x > p); } // shrink
    default: { return x; }
  }
}

fn root(x: f32) -> f32 {
  if (x < 0.0) { return from_bits(0x7fc00000u); }
  return sqrt(x);
}

// (exp(x) + sign * exp(-x)) / 2; by half the exponent twice, which overflows no earlier than the result.
fn hyperbolic(x: f32, sign_of_less: f32) -> f32 {
  let e = exp_of(0.5 * abs(x));
  let size = 0.5 * e * e + sign_of_less * 0.5 / e / e;
  return select(size, -size, sign_of_less < 0.0 && x < 0.0);
}

// x^2 + 1 is x^2 long before x^2 overflows.
fn asinh_of(x: f32) -> f32 {
  let size = abs(x);
  let least = min(size, 1e9);
  let more = select(0.0, log_of(size * 1e-9), size > 1e9);
  return sign(x) * (log_of(least + sqrt(least * least + 1.0)) + more);
}

fn acosh_of(x: f32) -> f32 {
  let least = min(x, 1e9);
  return log_of(least + root((least - 1.0) * (least + 1.0))) + select(0.0, log_of(x * 1e-9), x > 1e9);
}

// Division by zero is IEEE 754's, which WGSL doesn't promise.
fn divide(x: f32, y: f32) -> f32 {
  if (y != 0.0) { return x / y; }
  if (x == 0.0) { return from_bits(0x7fc00000u); }
  return from_bits(0x7f800000u | ((bitcast<u32>(x) ^ bitcast<u32>(y)) & 0x80000000u));
}

fn binary(x: f32, y: f32) -> f32 {
  if (OP == 46u) { return pow_of(x, y); } // 1 to any power and any number to the power 0 are 1, NaN too
  if (is_nan(x)) { return x; }
  if (OP == 47u && x >= 0.0) { return x; } // prelu looks at no slope there
  if (is_nan(y)) { return y; }
  switch OP {
    case 40u: { return x + y; }
    case 41u: { return x - y; }
    case 42u: { return x * y; }
    case 43u: { return divide(x, y); }
    case 44u: { return select(x, y, y < x); } // min
    case 45u: { return select(x, y, y > x); } // max
    case 47u: { return x * y; }
    case 48u: { return remainder(x, y); } // fmod
    default: { return x; }
  }
}

// C's fmod: the sign of x.
fn remainder(x: f32, y: f32) -> f32 {
  if (y == 0.0 || is_infinite(x)) { return from_bits(0x7fc00000u); }
  if (is_infinite(y)) { return x; }
  var rest = abs(x);
  let size = abs(y);
  // Subtracts the largest multiple 2^k * |y|, which is exact.
  for (var k = 0u; rest >= size && k < 300u; k++) {
    var step = size;
    let gap = i32(bitcast<u32>(rest) >> 23u) - i32(bitcast<u32>(size) >> 23u);
    if (gap > 0) { step = size * power_of_two(min(gap, 127)); }
    if (step > rest) { step *= 0.5; }
    rest -= step;
  }
  return select(rest, -rest, bitcast<u32>(x) >= 0x80000000u);
}

fn clip(x: f32, low: f32, high: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (is_nan(low)) { return low; }
  if (is_nan(high)) { return high; }
  let raised = select(x, low, x < low);
  return select(raised, high, raised > high);
}

fn evaluate(x: f32, y: f32, z: f32) -> u32 {
  let ordered = !is_nan(x) && !is_nan(y);
  switch OP {
    case 50u: { return bitcast<u32>(clip(x, y, z)); }
    case 60u: { return u32(ordered && x == y); }
    case 61u: { return u32(ordered && x < y); }
    case 62u: { return u32(ordered && x <= y); }
    case 63u: { return u32(ordered && x > y); }
    case 64u: { return u32(ordered && x >= y); }
    case 65u: { return u32(is_nan(x)); }
    case 66u: { return u32(is_nan(x) || x != 0.0); } // toBool
    case 67u: { return bitcast<u32>(select(i32(x), 0, is_nan(x))); } // toInt
    case 68u: { return select(u32(x), 0u, is_nan(x)); } // toUint
    case 70u: { return u32(is_infinite(x) && select(params.p, params.q, x > 0.0) != 0.0); } // isInf
    default: {}
  }
  if (OP >= 40u) { return bitcast<u32>(binary(x, y)); }
  return bitcast<u32>(unary(x));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) { return; }
  var rest = index;
  var at = vec3u();
  for (var d = 0u; d < params.rank; d++) {
    let axis = axes[d];
    if (d + 1u == params.rank) {
      at += rest * axis.yzw;
      break;
    }
    at += rest % axis.x * axis.yzw;
    rest /= axis.x;
  }
  output[index] = evaluate(a[at.x], b[at.y], c[at.z]);
}
