// ONNX MatMulInteger and QLinearMatMul: batched, broadcast, any zero points.
//
//   acc[p, m, n] = sum_k (a[p', m, k] - a_zero[p', m]) * (b[p'', k, n] - b_zero[p'', n])         modulo 2^32
//   output = acc, or requantize(acc, multipliers[p, m, n], zero_point, low, high)   (lib/requantize.wgsl)
//
// where p' and p'' are the matrices of a and b that broadcasting pairs in output matrix p.
//
// buffer       shape               dtype and packing
// a            matrices, M, K      int8 or uint8, four a word, element i in bits 8 * (i % 4) .. + 7
// b            matrices, K, N      as a
// pairs        output matrices     vec2u: p', p''
// a_zeros      1, or strided       i32: one, one a row, or one a row of every matrix
// b_zeros      1, or strided       i32: one, one a column, or one a column of every matrix
// multipliers  1, or strided       vec2u; strides of 0 share one over matrices, rows or columns
// output       matrices, M, N      OUTPUT 0: i32; OUTPUT 1: codes, four a word
//
// An int8 byte v is read as (v ^ 0x80) - 128: `*_flip` is 0x80 for int8 and the zero points are 128 larger.
//
// One thread writes one output word: one accumulator, or four neighbouring codes. No workgroup memory.
// This is the path that is right for everything; shaders/matmul-int8.wgsl is the fast one for models.
// Edge cases: the last word's missing codes are zeros; accumulators wrap as int32. Rounding is the rule's.

override WORKGROUP_SIZE: u32 = 64u;
const OUTPUT: u32 = 0u;

struct Params {
  count: u32,
  M: u32,
  N: u32,
  K: u32,
  a_flip: u32,
  b_flip: u32,
  a_zero_matrix_stride: u32,
  a_zero_row_stride: u32,
  b_zero_matrix_stride: u32,
  b_zero_column_stride: u32,
  multiplier_matrix_stride: u32,
  multiplier_row_stride: u32,
  multiplier_column_stride: u32,
  zero_point: i32,
  low: i32,
  high: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> pairs: array<vec2u>;
@group(0) @binding(4) var<storage, read> a_zeros: array<i32>;
@group(0) @binding(5) var<storage, read> b_zeros: array<i32>;
@group(0) @binding(6) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(7) var<storage, read_write> output: array<u32>;

fn accumulate(index: u32) -> i32 {
  let column = index % params.N;
  let row = (index / params.N) % params.M;
  let pair = pairs[index / params.N / params.M];
  let a_zero = a_zeros[pair.x * params.a_zero_matrix_stride + row * params.a_zero_row_stride];
  let b_zero = b_zeros[pair.y * params.b_zero_matrix_stride + column * params.b_zero_column_stride];
  var a_index = (pair.x * params.M + row) * params.K;
  var b_index = pair.y * params.K * params.N + column;
  var sum = 0;
  for (var k = 0u; k < params.K; k++) {
    let a_byte = (a[a_index >> 2u] >> (8u * (a_index & 3u))) & 0xffu;
    let b_byte = (b[b_index >> 2u] >> (8u * (b_index & 3u))) & 0xffu;
    sum += (i32(a_byte ^ params.a_flip) - a_zero) * (i32(b_byte ^ params.b_flip) - b_zero);
    a_index += 1u;
    b_index += params.N;
  }
  return sum;
}

fn multiplier_of(index: u32) -> vec2u {
  return multipliers[(index / params.N / params.M) * params.multiplier_matrix_stride
    + ((index / params.N) % params.M) * params.multiplier_row_stride
    + (index % params.N) * params.multiplier_column_stride];
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = (group.x + group.y * groups.x) * WORKGROUP_SIZE + lane;
  if (OUTPUT == 0u) {
    if (word < params.count) { output[word] = bitcast<u32>(accumulate(word)); }
    return;
  }
  let first = word * 4u;
  if (first >= params.count) { return; }
  var packed = 0u;
  for (var i = 0u; i < min(4u, params.count - first); i++) {
    let accumulator = accumulate(first + i);
    let code = requantize(accumulator, multiplier_of(first + i), params.zero_point, params.low, params.high);
    packed |= (bitcast<u32>(code) & 0xffu) << (8u * i);
  }
  output[word] = packed;
}
