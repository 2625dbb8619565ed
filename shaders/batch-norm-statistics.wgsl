// Mean and sum of squared deviations of each channel over one split of a batch's pixels.
//
//   partial[s, 0, c] = mean over pixels p of split s of input[p, c]
//   partial[s, 1, c] = sum over p of (input[p, c] - mean)^2
//
// buffer   shape                  dtype
// input    pixel_count, vectors   vec4f, NHWC
// partial  splits, 2, vectors     vec4f
//
// One thread takes one vector of channels over chunk pixels, twice: deviations from the split's own mean lose nothing
// where the mean is large. batch-norm-merge joins the splits in order.

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  pixel_count: u32,
  vectors: u32,
  chunk: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let index = (workgroup.x + workgroup.y * grid.x) * WORKGROUP_SIZE + lane;
  let vector = index % params.vectors;
  let split = index / params.vectors;
  let begin = split * params.chunk;
  if (begin >= params.pixel_count) {
    return;
  }
  let end = min(begin + params.chunk, params.pixel_count);
  var sum = vec4f();
  for (var pixel = begin; pixel < end; pixel++) {
    sum += input[pixel * params.vectors + vector];
  }
  let mean = sum / f32(end - begin);
  var squares = vec4f();
  for (var pixel = begin; pixel < end; pixel++) {
    let deviation = input[pixel * params.vectors + vector] - mean;
    squares += deviation * deviation;
  }
  partial[split * 2u * params.vectors + vector] = mean;
  partial[(split * 2u + 1u) * params.vectors + vector] = squares;
}
