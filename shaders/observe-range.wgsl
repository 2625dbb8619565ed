// A moving-average observer: moves a tensor's range towards the extremes of a batch, and chooses the qparams of it.
//
//   range = (1 - momentum) * range + momentum * (minimum, maximum)
//   low = min(range.x, 0), high = max(range.y, 0), scale = max((high - low) / (quant_max - quant_min), 2^-126),
//   or 2^-20 where low = high, as in calibration (src/run/calibrate.ts)
//   zero_point = clamp(rne(quant_min - low / scale), quant_min, quant_max)
//
// buffer   shape  dtype
// minimum  1      f32
// maximum  1      f32
// range    1      vec2f: lowest and highest, read and written
// qparams  1      vec2f: scale, zero point; what fake-quantize reads
//
// One thread does it all. Jacob et al., 2018, section 3.1. The result is read back where it is to be used elsewhere:
// WGSL's division may be 2.5 ULP off, so computing it again on the host could give another zero point.

struct Params {
  momentum: f32,
  quant_min: f32,
  quant_max: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> minimum: array<f32>;
@group(0) @binding(2) var<storage, read> maximum: array<f32>;
@group(0) @binding(3) var<storage, read_write> range: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> qparams: array<vec2f>;

@compute @workgroup_size(1)
fn main() {
  let moved = range[0] + params.momentum * (vec2f(minimum[0], maximum[0]) - range[0]);
  range[0] = moved;
  let low = min(moved.x, 0.0);
  let high = max(moved.y, 0.0);
  let step = max((high - low) / (params.quant_max - params.quant_min), 0x1p-126f);
  let scale = select(step, 0x1p-20f, low == high);
  let zero_point = round(params.quant_min - low / scale);
  qparams[0] = vec2f(scale, clamp(zero_point, params.quant_min, params.quant_max));
}
