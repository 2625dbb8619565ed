/**
 * Rounds to the nearest integer, ties to the even one: WGSL's `round`, which `Math.round` is not (0.5 gives 0, not 1;
 * -63.5 gives -64, not -63). Infinities and NaN pass through; a zero keeps its sign.
 *
 * @example
 * [0.5, 1.5, 2.5, -0.5].map(roundHalfToEven); // [0, 2, 2, -0]
 */
export function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : Math.ceil(x);
  return floor % 2 === 0 ? floor : Math.ceil(x);
}
