// Samples images or volumes at places that a grid names.
//
//   output[n, c, p] = sum over taps t of weight(t) * input[n, c, place(grid[n, p], t)]
//
// buffer  shape                              dtype
// input   n x channels x depth x height x width  f32; an image has the depth 1
// grid    n x places x rank                  f32: x, y (and z) from -1 to 1 across the input
// output  n x channels x places              f32
//
// One thread makes one element. With ALIGN -1 and 1 are the middles of the outermost elements, else their outer edges.
// Along each axis there are one tap (MODE 1, the nearest, ties to even), two (0, linear) or four (2, Keys' cubic, a = -0.75).
//
// Outside the input are zeros (PADDING 0), the nearest element (1), or its reflection (2) about the middles of the outermost
// elements with ALIGN, else about their outer edges.

override MODE: u32 = 0u;
override PADDING: u32 = 0u;
override ALIGN: u32 = 0u;
override RANK: u32 = 2u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  count: u32,
  channels: u32,
  depth: u32,
  height: u32,
  width: u32,
  places: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> grid: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

// Back and forth between two ends.
fn reflected(x: f32, low: f32, high: f32) -> f32 {
  let range = high - low;
  if (range <= 0.0) { return low; }
  let over = max(low - x, x - high);
  if (!(over > 0.0)) { return x; }
  let turns = floor(over / range);
  let rest = over - turns * range;
  let turned = (turns % 2.0) != 0.0;
  return select(high - rest, low + rest, (x < low) != turned);
}

struct Axis {
  first: i32,
  weights: vec4f,
}

fn ends_of(size: u32) -> vec2f {
  return select(vec2f(-0.5, f32(size) - 0.5), vec2f(0.0, f32(size) - 1.0), ALIGN == 1u);
}

// Which elements of an axis a coordinate of the grid meets, and how much of each.
fn taps_at(coordinate: f32, size: u32) -> Axis {
  let edges = (coordinate + 1.0) * 0.5 * f32(size) - 0.5;
  var x = select(edges, (coordinate + 1.0) * 0.5 * (f32(size) - 1.0), ALIGN == 1u);
  if (MODE == 1u) { x = round(x); }
  let ends = ends_of(size);
  // Of a cubic every tap is padded by itself.
  if (PADDING == 1u && MODE != 2u) { x = clamp(x, 0.0, f32(size) - 1.0); }
  if (PADDING == 2u && MODE != 2u) { x = reflected(x, ends.x, ends.y); }
  if (MODE == 1u) { return Axis(i32(round(x)), vec4f(1.0, 0.0, 0.0, 0.0)); }
  let whole = floor(x);
  let t = x - whole;
  if (MODE == 0u) { return Axis(i32(whole), vec4f(1.0 - t, t, 0.0, 0.0)); }
  let d = vec4f(t + 1.0, t, 1.0 - t, 2.0 - t);
  let near = (1.25 * d - 2.25) * d * d + 1.0;
  let far = ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
  return Axis(i32(whole) - 1, vec4f(far.x, near.y, near.z, far.w));
}

// An element of an axis as the padding has it, or -1 for a zero.
fn inside(at: i32, size: u32) -> i32 {
  if (at >= 0 && at < i32(size)) { return at; }
  if (PADDING == 0u) { return -1; }
  if (PADDING == 1u) { return clamp(at, 0, i32(size) - 1); }
  let ends = ends_of(size);
  return clamp(i32(reflected(f32(at), ends.x, ends.y)), 0, i32(size) - 1);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid_size: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = (workgroup.x + workgroup.y * grid_size.x) * WORKGROUP_SIZE + lane;
  if (index >= params.count) { return; }
  let place = index % params.places;
  let plane = index / params.places;
  let at = (plane / params.channels * params.places + place) * RANK;
  let x = taps_at(grid[at], params.width);
  let y = taps_at(grid[at + 1u], params.height);
  var z = Axis(0, vec4f(1.0, 0.0, 0.0, 0.0));
  if (RANK == 3u) { z = taps_at(grid[at + 2u], params.depth); }
  let taps = select(select(2, 1, MODE == 1u), 4, MODE == 2u);
  let base = plane * params.depth * params.height * params.width;
  var sum = 0.0;
  for (var k = 0; k < select(1, taps, RANK == 3u); k++) {
    let from_z = inside(z.first + k, params.depth);
    for (var j = 0; j < taps; j++) {
      let from_y = inside(y.first + j, params.height);
      for (var i = 0; i < taps; i++) {
        let from_x = inside(x.first + i, params.width);
        if (min(from_z, min(from_y, from_x)) < 0) { continue; }
        let element = base + (u32(from_z) * params.height + u32(from_y)) * params.width + u32(from_x);
        sum += z.weights[k] * y.weights[j] * x.weights[i] * input[element];
      }
    }
  }
  output[index] = sum;
}
