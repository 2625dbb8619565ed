// The sums of TILE_PIXELS pixels that a thread keeps in registers, and the loads that they are made of. Needs of the
// kernel: const TILE_PIXELS and PIXEL_SUMS (a pixel's sums), alias Loaded, what one load of the input gives, and Sum,
// and
//
//   fn load_input(at: u32, inside: bool) -> Loaded                                    which knows the padding
//   fn multiply(sums: ptr<function, Sums>, window: ptr<function, Window>, step: u32, at: u32, lane: u32)
//                                         adds load `step` of every pixel times the weights from vector `at` on
//
// multiply() loads by itself, all pixels at once by load_pixels() or one by one: integer products, which keep more in
// registers meanwhile, took 2.5 times as long on lavapipe with all loads first.

alias Sums = array<Sum, TILE_PIXELS * PIXEL_SUMS>;
alias Loads = array<Loaded, TILE_PIXELS>;

/// Where a tile's pixels lie under one tap: their first load, and whether it is one or padding.
struct Window {
  base: array<u32, TILE_PIXELS>,
  inside: array<bool, TILE_PIXELS>,
}

fn load_pixels(window: ptr<function, Window>, step: u32) -> Loads {
  var a: Loads;
  for (var i = 0u; i < TILE_PIXELS; i++) {
    a[i] = load_input(window.base[i] + step, window.inside[i]);
  }
  return a;
}
