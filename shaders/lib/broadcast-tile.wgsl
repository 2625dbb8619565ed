// The products of a load of every pixel where a subgroup loads its weights together: lib/register-tile.wgsl's
// multiply(). Needs lib/subgroup-broadcast.wgsl, lib/register-tile.wgsl and of the kernel: alias Weights, a vector of
// them; fn load_weights(at: u32) -> Weights; and
//
//   fn multiply_vector(sums: ptr<function, Sums>, a: ptr<function, Loads>, v: u32, b0: Weights, ..., b3: Weights)
//                                    adds to channel vector v what the load's four steps make with b0 to b3
//
// It is called by name for every vector: as a loop, the sums stayed in memory (a fifth of the speed).

const STEP_VECTORS: u32 = 4u * TILE_VECTORS;

fn multiply(sums: ptr<function, Sums>, window: ptr<function, Window>, step: u32, at: u32, lane: u32) {
  var w: array<Weights, LOADS>;
  for (var load = 0u; load < LOADS; load++) {
    w[load] = load_weights(at + load * LANES + lane % LANES);
  }
  var a = load_pixels(window, step);
  multiply_vector(sums, &a, 0u, subgroupBroadcast(w[0], 0u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 0u),
    subgroupBroadcast(w[LOAD_2], SHIFT_2 + 0u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 0u));
  multiply_vector(sums, &a, 1u, subgroupBroadcast(w[0], 1u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 1u),
    subgroupBroadcast(w[LOAD_2], SHIFT_2 + 1u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 1u));
  multiply_vector(sums, &a, 2u, subgroupBroadcast(w[0], 2u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 2u),
    subgroupBroadcast(w[LOAD_2], SHIFT_2 + 2u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 2u));
  multiply_vector(sums, &a, 3u, subgroupBroadcast(w[0], 3u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 3u),
    subgroupBroadcast(w[LOAD_2], SHIFT_2 + 3u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 3u));
  if (TILE_VECTORS > 4u) {
    multiply_vector(sums, &a, 4u, subgroupBroadcast(w[0], 4u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 4u),
      subgroupBroadcast(w[LOAD_2], SHIFT_2 + 4u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 4u));
    multiply_vector(sums, &a, 5u, subgroupBroadcast(w[0], 5u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 5u),
      subgroupBroadcast(w[LOAD_2], SHIFT_2 + 5u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 5u));
    multiply_vector(sums, &a, 6u, subgroupBroadcast(w[0], 6u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 6u),
      subgroupBroadcast(w[LOAD_2], SHIFT_2 + 6u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 6u));
    multiply_vector(sums, &a, 7u, subgroupBroadcast(w[0], 7u), subgroupBroadcast(w[LOAD_1], SHIFT_1 + 7u),
      subgroupBroadcast(w[LOAD_2], SHIFT_2 + 7u), subgroupBroadcast(w[LOAD_3], SHIFT_3 + 7u));
  }
}
