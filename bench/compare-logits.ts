/** Peers and we sum in different orders: float32 logits of this network agree to a few 1e-5 of the largest. */
const TOLERANCE = 1e-3;

/** Why two float outputs are not the same network's, or null when they are. */
export function disagreement(actual: ArrayLike<number>, expected: ArrayLike<number>): string | null {
  if (actual.length !== expected.length) return `${actual.length} outputs instead of ${expected.length}`;
  let largest = 1;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    // Written so that a NaN fails.
    if (!(Math.abs(actual[i] - expected[i]) <= TOLERANCE * largest)) {
      return `output ${i} is ${actual[i]} instead of ${expected[i]}, more than ${TOLERANCE} x ${largest.toPrecision(3)} apart`;
    }
  }
  return null;
}
