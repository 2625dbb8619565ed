// One function of one to three integer tensors, element by element, with numpy's broadcasting.
//
//   output[i] = narrow(OP(a[at_a(i)], b[at_b(i)], c[at_c(i)]))
//
// buffer   shape   dtype
// a, b, c  any     Integer: i32, which also carries every narrower type and bool (0 or 1), or u32; an operand that OP
//                  doesn't read is bound to any other. `where` moves words of any type: a ? b : c
// axes   rank    vec4u an axis, the innermost first: its size, then the strides of a, b and c along it (0 repeats)
// output   count   u32: bits of the result; 0 or 1 of a comparison; bits of an f32 of `toFloat`
//
// One thread makes one element.
//
// Sums, differences and products wrap, at `bits` bits where the type is narrower than 32 (its sign by `is_signed`).
// Division truncates; by zero it gives 0, which ONNX leaves open. `pow` wraps too; a negative exponent gives the
// truncated reciprocal.

alias Integer = i32;
override OP: u32 = 0u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  rank: u32,
  bits: u32,
  is_signed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Integer>;
@group(0) @binding(2) var<storage, read> b: array<Integer>;
@group(0) @binding(3) var<storage, read> c: array<Integer>;
@group(0) @binding(4) var<storage, read> axes: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;

fn divide(x: Integer, y: Integer) -> Integer {
  if (y == Integer(0)) { return Integer(0); }
  return x / y;
}

// With the sign of y, as Python's.
fn modulo(x: Integer, y: Integer) -> Integer {
  if (y == Integer(0)) { return Integer(0); }
  let rest = x % y;
  return select(rest, rest + y, rest != Integer(0) && (rest < Integer(0)) != (y < Integer(0)));
}

fn power(x: Integer, y: Integer) -> Integer {
  if (y < Integer(0)) {
    if (x == Integer(1)) { return x; }
    if (x * x == Integer(1) && x < Integer(0)) { return select(x, Integer(1), (bitcast<u32>(y) & 1u) == 0u); }
    return Integer(0);
  }
  var result = Integer(1);
  var base = x;
  for (var rest = bitcast<u32>(y); rest > 0u; rest >>= 1u) {
    if ((rest & 1u) == 1u) { result *= base; }
    base *= base;
  }
  return result;
}

fn shift(x: Integer, by: Integer, left: bool) -> Integer {
  let count = bitcast<u32>(by);
  if (count >= 32u) { return Integer(0); }
  if (left) { return x << count; }
  return x >> count;
}

fn evaluate(x: Integer, y: Integer, z: Integer) -> u32 {
  let zero = Integer(0);
  switch OP {
    case 1u: { return bitcast<u32>(max(x, zero)); } // relu
    case 20u: { return bitcast<u32>(select(x, zero - x, x < zero)); } // abs
    case 21u: { return bitcast<u32>(zero - x); } // neg
    case 26u: { return bitcast<u32>(select(select(zero, Integer(1), x > zero), zero - Integer(1), x < zero)); } // sign
    case 30u: { return u32(x == zero); } // not
    case 31u: { return ~bitcast<u32>(x); } // bitwiseNot
    case 40u: { return bitcast<u32>(x + y); }
    case 41u: { return bitcast<u32>(x - y); }
    case 42u: { return bitcast<u32>(x * y); }
    case 43u: { return bitcast<u32>(divide(x, y)); }
    case 44u: { return bitcast<u32>(min(x, y)); }
    case 45u: { return bitcast<u32>(max(x, y)); }
    case 46u: { return bitcast<u32>(power(x, y)); }
    case 47u: { return bitcast<u32>(select(x * y, x, x >= zero)); } // prelu
    case 48u: { return bitcast<u32>(select(x % select(y, Integer(1), y == zero), zero, y == zero)); } // fmod
    case 49u: { return bitcast<u32>(modulo(x, y)); } // mod
    case 50u: { return bitcast<u32>(min(max(x, y), z)); } // clip
    case 51u: { return bitcast<u32>(select(z, y, x != zero)); } // where
    case 52u: { return bitcast<u32>(x & y); }
    case 53u: { return bitcast<u32>(x | y); }
    case 54u: { return bitcast<u32>(x ^ y); }
    case 55u: { return bitcast<u32>(shift(x, y, true)); }
    case 56u: { return bitcast<u32>(shift(x, y, false)); }
    case 60u: { return u32(x == y); }
    case 61u: { return u32(x < y); }
    case 62u: { return u32(x <= y); }
    case 63u: { return u32(x > y); }
    case 64u: { return u32(x >= y); }
    case 66u: { return u32(x != zero); } // toBool
    case 69u: { return bitcast<u32>(f32(x)); } // toFloat
    default: { return bitcast<u32>(x); }
  }
}

// Wraps to a narrower type; 32 bits and more stay.
fn narrow(value: u32) -> u32 {
  if (params.bits >= 32u) { return value; }
  let high = 32u - params.bits;
  if (params.is_signed == 1u) { return bitcast<u32>(bitcast<i32>(value << high) >> high); }
  return (value << high) >> high;
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
  output[index] = narrow(evaluate(a[at.x], b[at.y], c[at.z]));
}
