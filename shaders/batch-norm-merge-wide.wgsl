// Joins the splits of batch-norm-statistics where they are many: what batch-norm-merge computes, for GPUs.
//
//   mean, M2 of two parts a, b: mean_a + (mean_b - mean_a) * n_b / n,  M2_a + M2_b + (mean_b - mean_a)^2 * n_a * n_b / n
//   statistics = mean, 1 / sqrt(M2 / n + epsilon)
//   running += momentum * (batch - running), the variance's batch value being M2 / (n - 1)
//
// buffer      shape                dtype
// partial     splits, 2, vectors   vec4f: mean, M2
// statistics  2, vectors           vec4f: mean, inverse deviation
// running     2, vectors           vec4f: mean, variance; read and written
//
// One workgroup joins one vector's splits by 256 lanes: lane l joins splits l, l + 256, ... in order, then halves of the
// lanes are joined to each other. The order is fixed, so the bits are the same in every run, but other than
// batch-norm-merge's. 9 KB of workgroup memory. A batch of one pixel keeps M2 / 1 for the running variance.

const LANES: u32 = 256u;

struct Params {
  pixel_count: u32,
  vectors: u32,
  chunk: u32,
  epsilon: f32,
  momentum: f32,
}

struct Part {
  mean: vec4f,
  squares: vec4f,
  size: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> running: array<vec4f>;

var<workgroup> tile_mean: array<vec4f, LANES>;
var<workgroup> tile_squares: array<vec4f, LANES>;
var<workgroup> tile_size: array<f32, LANES>;

/// Two parts as one; b must not be empty.
fn join(a: Part, b: Part) -> Part {
  let difference = b.mean - a.mean;
  let size = a.size + b.size;
  let share = b.size / size;
  return Part(a.mean + difference * share, a.squares + b.squares + difference * difference * (a.size * share), size);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lane: u32) {
  let vector = workgroup.x + workgroup.y * grid.x;
  if (vector >= params.vectors) {
    return;
  }
  let splits = (params.pixel_count + params.chunk - 1u) / params.chunk;
  var own = Part();
  for (var split = lane; split < splits; split += LANES) {
    let size = f32(min(params.chunk, params.pixel_count - split * params.chunk));
    let at = split * 2u * params.vectors + vector;
    own = join(own, Part(partial[at], partial[at + params.vectors], size));
  }
  tile_mean[lane] = own.mean;
  tile_squares[lane] = own.squares;
  tile_size[lane] = own.size;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    // Lanes past the last split have nothing; those before them never have less.
    if (lane < half && tile_size[lane + half] > 0.0) {
      own = join(own, Part(tile_mean[lane + half], tile_squares[lane + half], tile_size[lane + half]));
      tile_mean[lane] = own.mean;
      tile_squares[lane] = own.squares;
      tile_size[lane] = own.size;
    }
  }
  if (lane > 0u) {
    return;
  }
  statistics[vector] = own.mean;
  statistics[params.vectors + vector] = 1.0 / sqrt(own.squares / own.size + params.epsilon);
  running[vector] += params.momentum * (own.mean - running[vector]);
  let variance = running[params.vectors + vector];
  let unbiased = own.squares / max(1.0, own.size - 1.0);
  running[params.vectors + vector] = variance + params.momentum * (unbiased - variance);
}
