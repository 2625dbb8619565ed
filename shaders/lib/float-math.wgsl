// Elementary functions of f32 to a few ULP on every adapter: WGSL leaves exp, log, tanh, pow and sin up to 2^-11 off, and
// lets an implementation ignore NaN and infinity. Minimax polynomials after argument reduction, in multiplications and
// additions only; NaN and infinity are told by their bits.

fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn is_infinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }
// A function call is no constant expression, so infinity and NaN may come of it.
fn from_bits(bits: u32) -> f32 { return bitcast<f32>(bits); }
fn power_of_two(exponent: i32) -> f32 { return bitcast<f32>(u32(exponent + 127) << 23u); }

fn exp_of(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x > 88.73) { return from_bits(0x7f800000u); }
  if (x < -104.0) { return 0.0; }
  let n = floor(x * 1.44269504 + 0.5);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4;
  var p = 1.9875691500e-4 * r + 1.3981999507e-3;
  p = p * r + 8.3334519073e-3;
  p = p * r + 4.1665795894e-2;
  p = p * r + 1.6666665459e-1;
  p = p * r + 5.0000001201e-1;
  p = p * r * r + r + 1.0;
  // 2^n in two factors: n runs from -150 to 128.
  let half = i32(n) / 2;
  return p * power_of_two(half) * power_of_two(i32(n) - half);
}

fn log_of(x: f32) -> f32 {
  let raw = bitcast<u32>(x);
  if (is_nan(x)) { return x; }
  if ((raw & 0x7fffffffu) == 0u) { return from_bits(0xff800000u); }
  if (raw >= 0x80000000u) { return from_bits(0x7fc00000u); }
  if (raw == 0x7f800000u) { return x; }
  let tiny = raw < 0x00800000u;
  let bits = select(raw, bitcast<u32>(x * 8388608.0), tiny);
  var exponent = f32(i32(bits >> 23u) - 126 - select(0, 23, tiny));
  var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f000000u);
  if (m < 0.70710678) {
    exponent -= 1.0;
    m += m;
  }
  m -= 1.0;
  let z = m * m;
  var y = 7.0376836292e-2 * m - 1.1514610310e-1;
  y = y * m + 1.1676998740e-1;
  y = y * m - 1.2420140846e-1;
  y = y * m + 1.4249322787e-1;
  y = y * m - 1.6668057665e-1;
  y = y * m + 2.0000714765e-1;
  y = y * m - 2.4999993993e-1;
  y = y * m + 3.3333331174e-1;
  y = y * m * z - exponent * 2.12194440e-4 - 0.5 * z;
  return m + y + exponent * 0.693359375;
}

fn tanh_of(x: f32) -> f32 {
  let size = abs(x);
  if (size < 0.625) {
    let z = x * x;
    var p = 2.06390887954e-2 - 5.70498872745e-3 * z;
    p = p * z - 5.37397155531e-2;
    p = p * z + 1.33314422036e-1;
    p = p * z - 3.33332819422e-1;
    return p * z * x + x;
  }
  let e = exp_of(-2.0 * size);
  return sign(x) * (1.0 - 2.0 * e / (1.0 + e));
}

fn sigmoid_of(x: f32) -> f32 {
  let e = exp_of(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn softplus_of(x: f32) -> f32 {
  let e = exp_of(-abs(x));
  // log(1 + e) for small e by its series: 1 + e would round e away.
  let tail = select(log_of(1.0 + e), e - 0.5 * e * e, e < 1e-3);
  return select(0.0, x, x > 0.0) + tail;
}

fn erfc_tail(x: f32) -> f32 {
  let q = 1.0 / x;
  let y = q * q;
  var p: f32;
  if (x < 2.0) {
    p = 2.326819970068386e-2 * y - 1.387039388740657e-1;
    p = p * y + 3.687424674597105e-1;
    p = p * y - 5.824733027278666e-1;
    p = p * y + 6.210004621745983e-1;
    p = p * y - 4.944515323274145e-1;
    p = p * y + 3.404879937665872e-1;
    p = p * y - 2.741127028184656e-1;
    p = p * y + 5.638259427386472e-1;
  } else {
    p = 1.297719955372516e+1 - 1.047766399936249e+1 * y;
    p = p * y - 7.495518717768503;
    p = p * y + 2.921019019210786;
    p = p * y - 1.015265279202700;
    p = p * y + 4.218463358204948e-1;
    p = p * y - 2.820767439740514e-1;
    p = p * y + 5.641895067754075e-1;
  }
  return exp_of(-x * x) * q * p;
}

fn erf_of(x: f32) -> f32 {
  let size = abs(x);
  if (size >= 10.0) { return sign(x); }
  if (size >= 1.0) { return sign(x) * (1.0 - erfc_tail(size)); }
  let z = x * x;
  var p = 7.853861353153693e-5 * z - 8.010193625184903e-4;
  p = p * z + 5.188327685732524e-3;
  p = p * z - 2.685381193529856e-2;
  p = p * z + 1.128358514861418e-1;
  p = p * z - 3.761262582423300e-1;
  return x * (p * z + 1.128379165726710);
}

// x / 2 * (1 + erf(x / sqrt 2)), without the cancellation that a negative x would bring.
fn gelu_of(x: f32) -> f32 {
  let u = x * 0.70710678;
  if (x > -1.4142136) { return 0.5 * x * (1.0 + erf_of(u)); }
  if (x < -20.0) { return -0.0; }
  return 0.5 * x * erfc_tail(-u);
}

// C's pow: exact for small whole exponents, special values by IEEE 754.
fn pow_of(x: f32, y: f32) -> f32 {
  if (y == 0.0 || x == 1.0) { return 1.0; }
  if (is_nan(x) || is_nan(y)) { return from_bits(0x7fc00000u); }
  let whole = is_infinite(y) || floor(y) == y;
  let odd = whole && abs(y) < 16777216.0 && (u32(abs(y)) & 1u) == 1u;
  let size = abs(x);
  var result: f32;
  if (is_infinite(y)) {
    if (size == 1.0) { return 1.0; }
    result = select(0.0, from_bits(0x7f800000u), (size > 1.0) == (y > 0.0));
  } else if (size == 0.0 || is_infinite(x)) {
    result = select(0.0, from_bits(0x7f800000u), (size == 0.0) == (y < 0.0));
  } else if (whole && abs(y) <= 16.0) {
    result = 1.0;
    for (var i = 0u; i < u32(abs(y)); i++) { result *= size; }
    if (y < 0.0) { result = 1.0 / result; }
  } else {
    result = exp_of(y * log_of(size));
  }
  if (bitcast<u32>(x) < 0x80000000u) { return result; }
  if (!whole && size != 0.0 && !is_infinite(x)) { return from_bits(0x7fc00000u); }
  return select(result, -result, odd);
}

// Up to tan(pi / 8) a polynomial; beyond it the angle is less than pi / 4 or pi / 2 by one that is so small.
fn atan_of(x: f32) -> f32 {
  let size = abs(x);
  var r = size;
  var turned = 0.0;
  if (size > 2.41421356) {
    r = -1.0 / size;
    turned = 1.57079633;
    if (is_infinite(x)) { r = 0.0; }
  } else if (size > 0.41421356) {
    r = (size - 1.0) / (size + 1.0);
    turned = 0.78539816;
  }
  let z = r * r;
  let p = (((8.05374449538e-2 * z - 1.38776856032e-1) * z + 1.99777106478e-1) * z - 3.33329491539e-1) * z * r + r;
  return select(turned + p, -turned - p, x < 0.0);
}

// The sine of x + quarters * pi / 2.
fn sin_of(x: f32, quarters: i32) -> f32 {
  if (is_nan(x) || is_infinite(x)) { return from_bits(0x7fc00000u); }
  let n = round(x * 0.63661977);
  let r = ((x - n * 1.5703125) - n * 4.8375129699707e-4) - n * 7.549789948768648e-8;
  let z = r * r;
  let turn = (i32(n) + quarters) & 3;
  var p: f32;
  if ((turn & 1) == 1) {
    p = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  } else {
    p = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
  }
  return select(p, -p, turn >= 2);
}
