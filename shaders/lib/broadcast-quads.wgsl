// The products of a gradient where a subgroup loads what its threads share together: a load holds four lanes of each of
// its vectors. Needs lib/subgroup-broadcast.wgsl and of the kernel: alias Sums, alias Loads (what is multiplied), and
//
//   fn multiply_vector(sums: ptr<function, Sums>, a: ptr<function, Loads>, v: u32, b0: vec4f, ..., b3: vec4f)
//
// It is called by name for every vector: as a loop, sums stay in memory.

// Vectors of a load, the first lane of an odd one, and the loads of eight vectors.
const QUADS: u32 = LANES / 4u;
const ODD: u32 = 4u * (QUADS - 1u);
const MOST_LOADS: u32 = 8u / QUADS;
alias Shared = array<vec4f, MOST_LOADS>;

fn multiply_vectors(sums: ptr<function, Sums>, a: ptr<function, Loads>, w: ptr<function, Shared>) {
  multiply_vector(sums, a, 0u, subgroupBroadcast(w[0u / QUADS], 0u), subgroupBroadcast(w[0u / QUADS], 1u),
    subgroupBroadcast(w[0u / QUADS], 2u), subgroupBroadcast(w[0u / QUADS], 3u));
  multiply_vector(sums, a, 1u, subgroupBroadcast(w[1u / QUADS], ODD + 0u), subgroupBroadcast(w[1u / QUADS], ODD + 1u),
    subgroupBroadcast(w[1u / QUADS], ODD + 2u), subgroupBroadcast(w[1u / QUADS], ODD + 3u));
  multiply_vector(sums, a, 2u, subgroupBroadcast(w[2u / QUADS], 0u), subgroupBroadcast(w[2u / QUADS], 1u),
    subgroupBroadcast(w[2u / QUADS], 2u), subgroupBroadcast(w[2u / QUADS], 3u));
  multiply_vector(sums, a, 3u, subgroupBroadcast(w[3u / QUADS], ODD + 0u), subgroupBroadcast(w[3u / QUADS], ODD + 1u),
    subgroupBroadcast(w[3u / QUADS], ODD + 2u), subgroupBroadcast(w[3u / QUADS], ODD + 3u));
  if (TILE_VECTORS > 4u) {
    multiply_vector(sums, a, 4u, subgroupBroadcast(w[4u / QUADS], 0u), subgroupBroadcast(w[4u / QUADS], 1u),
      subgroupBroadcast(w[4u / QUADS], 2u), subgroupBroadcast(w[4u / QUADS], 3u));
    multiply_vector(sums, a, 5u, subgroupBroadcast(w[5u / QUADS], ODD + 0u),
      subgroupBroadcast(w[5u / QUADS], ODD + 1u), subgroupBroadcast(w[5u / QUADS], ODD + 2u),
      subgroupBroadcast(w[5u / QUADS], ODD + 3u));
    multiply_vector(sums, a, 6u, subgroupBroadcast(w[6u / QUADS], 0u), subgroupBroadcast(w[6u / QUADS], 1u),
      subgroupBroadcast(w[6u / QUADS], 2u), subgroupBroadcast(w[6u / QUADS], 3u));
    multiply_vector(sums, a, 7u, subgroupBroadcast(w[7u / QUADS], ODD + 0u),
      subgroupBroadcast(w[7u / QUADS], ODD + 1u), subgroupBroadcast(w[7u / QUADS], ODD + 2u),
      subgroupBroadcast(w[7u / QUADS], ODD + 3u));
  }
}
