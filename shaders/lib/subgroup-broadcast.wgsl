// What a module whose subgroups load together begins with; directives come before everything else, so this file comes
// first. A subgroup's first LANES threads load LANES neighbours at once, and each reaches all of them by a broadcast.
//
// An adapter that is a CPU has no uniform loads: a load whose address all lanes share is done lane by lane all the
// same, with a mask test and a bounds check each. One load of LANES different words and LANES broadcasts, one
// instruction each, is LANES times less of that. Correct wherever subgroups have at least LANES threads.
enable subgroups;

const LANES: u32 = 8u;
const TILE_VECTORS: u32 = 8u;

// Vector v of input step k is in lane SHIFT_k + v of load number LOAD_k; TILE_VECTORS is LANES or divides it.
const LOADS: u32 = 4u * TILE_VECTORS / LANES;
const LOAD_1: u32 = TILE_VECTORS / LANES;
const LOAD_2: u32 = 2u * TILE_VECTORS / LANES;
const LOAD_3: u32 = 3u * TILE_VECTORS / LANES;
const SHIFT_1: u32 = TILE_VECTORS % LANES;
const SHIFT_2: u32 = 2u * TILE_VECTORS % LANES;
const SHIFT_3: u32 = 3u * TILE_VECTORS % LANES;
