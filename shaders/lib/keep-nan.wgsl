// clamp and max that leave a NaN one, as ONNX's Relu, Clip and MaxPool do: WGSL's own may return either operand. A NaN is
// told by its bits, because an adapter may compile floats as if there were none.

fn is_nan(value: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(value) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

fn clamp_or_nan(value: vec4f, low: f32, high: f32) -> vec4f {
  return select(clamp(value, vec4f(low), vec4f(high)), value, is_nan(value));
}

fn max_or_nan(a: vec4f, b: vec4f) -> vec4f {
  return select(select(max(a, b), b, is_nan(b)), a, is_nan(a));
}
