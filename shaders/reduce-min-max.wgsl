// Finds the smallest and the largest value of every segment of a tensor: the whole tensor, each index of an axis, or
// each group.
//
//   segment(i) = (i / axis_stride) % axis_size
//   minimum[s] = min over i of segment s,  maximum[s] = max over i of segment s
//
// buffer      shape               dtype
// input       count               f32
// minimum     axis_size x slices  f32
// maximum     axis_size x slices  f32
//
// One workgroup reduces one slice of one segment: its threads step through the segment slices * WORKGROUP_SIZE
// elements at a time, then combine in a tree. With slices > 1 the partial results are themselves reduced by this
// kernel: count = axis_size * slices, axis_stride = slices, slices = 1, once for minimum and once for maximum.
// Workgroup memory: 8 * WORKGROUP_SIZE bytes, 2 KiB at 256. The position is carried along, not divided out again:
// a division an element would cost more than its 4 bytes of traffic.
//
// Deterministic and exact on every adapter: values are compared as order-preserving integers, so -0 < +0, subnormals
// are never flushed, and a NaN ends up in maximum (or, with its sign bit set, in minimum). A slice without elements
// gives +NaN as minimum and -NaN as maximum, the neutral elements of that order.

override WORKGROUP_SIZE: u32 = 256u;

struct Params {
  count: u32,
  axis_size: u32,
  axis_stride: u32,
  slices: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> minimum: array<u32>;
@group(0) @binding(3) var<storage, read_write> maximum: array<u32>;

var<workgroup> partial_minimum: array<i32, WORKGROUP_SIZE>;
var<workgroup> partial_maximum: array<i32, WORKGROUP_SIZE>;

// Its own inverse: flips the magnitude bits of negative numbers, so that signed integer order is float order.
fn order_key(bits: i32) -> i32 {
  return bits ^ ((bits >> 31u) & 0x7fffffff);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = workgroup.x + workgroup.y * grid.x;
  let segment = index / params.slices;
  let slice = index % params.slices;

  var smallest = 0x7fffffff;
  var largest = -0x7fffffff - 1;
  if (segment < params.axis_size) {
    let row_length = params.axis_size * params.axis_stride;
    let rows = (params.count - 1u) / row_length + 1u;
    let start = slice * WORKGROUP_SIZE + lane;
    let stride = params.slices * WORKGROUP_SIZE;
    let row_step = stride / params.axis_stride;
    let column_step = stride % params.axis_stride;
    var column = start % params.axis_stride;
    for (var row = start / params.axis_stride; row < rows; row += row_step) {
      let at = row * row_length + segment * params.axis_stride + column;
      if (at < params.count) {
        let key = order_key(bitcast<i32>(input[at]));
        smallest = min(smallest, key);
        largest = max(largest, key);
      }
      column += column_step;
      if (column >= params.axis_stride) {
        column -= params.axis_stride;
        row++;
      }
    }
  }
  partial_minimum[lane] = smallest;
  partial_maximum[lane] = largest;
  for (var width = WORKGROUP_SIZE / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) {
      partial_minimum[lane] = min(partial_minimum[lane], partial_minimum[lane + width]);
      partial_maximum[lane] = max(partial_maximum[lane], partial_maximum[lane + width]);
    }
  }
  if (lane == 0u && segment < params.axis_size) {
    minimum[index] = bitcast<u32>(order_key(partial_minimum[0]));
    maximum[index] = bitcast<u32>(order_key(partial_maximum[0]));
  }
}
