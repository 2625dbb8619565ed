// Which window of a convolution or pool lies over an input pixel, along one axis.

/// What `window_over` answers where there is none.
const NONE: u32 = 0xffffffffu;

/// The window whose tap, `tap` cells from its first, lies on position `at`, counted from where the padding begins: one
/// of `count` windows, or NONE.
fn window_over(at: u32, tap: u32, stride: u32, count: u32) -> u32 {
  let first = i32(at) - i32(tap);
  let window = u32(max(first, 0)) / stride;
  let whole = first >= 0 && window * stride == u32(first) && window < count;
  return select(NONE, window, whole);
}
