// Softmax, or its logarithm, along one axis.
//
//   output[o, k, i] = exp(x[o, k, i] - m) / s    or    x[o, k, i] - m - log(s)
//   m = max over k of x[o, k, i],  s = sum over k of exp(x[o, k, i] - m)
//
// buffer  shape                dtype
// input   outer, size, inners  f32
// output  as the input         f32
//
// LANES threads share one row (o, i): 1 where rows lie side by side, a whole workgroup where a row lies in one piece. A lane
// takes every LANES-th element three times over (maximum, sum, result); the lanes join in a tree.
//
// A NaN, or an infinite maximum, makes the whole row NaN.

override LOG: u32 = 0u;
override LANES: u32 = 1u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  rows: u32,
  size: u32,
  inners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP_SIZE>;

fn larger(x: f32, y: f32) -> f32 {
  if (is_nan(x) || (!is_nan(y) && x > y)) { return x; }
  return y;
}

// What all lanes of a row have: their maximum, or their sum.
fn join(value: f32, local: u32, lane: u32, summed: bool) -> f32 {
  if (LANES == 1u) { return value; }
  partial[local] = value;
  for (var step = LANES / 2u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if (lane < step) {
      let other = partial[local + step];
      partial[local] = select(larger(partial[local], other), partial[local] + other, summed);
    }
  }
  workgroupBarrier();
  let result = partial[local - lane];
  workgroupBarrier();
  return result;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let thread = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + local;
  let row = thread / LANES;
  let lane = thread % LANES;
  // Lanes without a row go on, for the barriers' sake, over no element.
  let size = select(0u, params.size, row < params.rows);
  let base = row / params.inners * params.size * params.inners + row % params.inners;
  var best = from_bits(0xff800000u);
  for (var k = lane; k < size; k += LANES) { best = larger(best, input[base + k * params.inners]); }
  let maximum = join(best, local, lane, false);
  var total = 0.0;
  for (var k = lane; k < size; k += LANES) { total += exp_of(input[base + k * params.inners] - maximum); }
  let sum = join(total, local, lane, true);
  let shift = maximum + log_of(sum);
  for (var k = lane; k < size; k += LANES) {
    let at = base + k * params.inners;
    if (LOG == 1u) {
      output[at] = input[at] - shift;
    } else {
      output[at] = exp_of(input[at] - maximum) / sum;
    }
  }
}
