/**
 * Wilson's score interval for `successes` of `trials` (Wilson, 1927), default 95 %.
 *
 * @example
 * wilson(239, 256); // [0.8962..., 0.9581...]
 */
export function wilson(successes: number, trials: number, z = 1.959963984540054): [number, number] {
  if (trials === 0) return [0, 1];
  const p = successes / trials;
  const denominator = 1 + (z * z) / trials;
  const centre = (p + (z * z) / (2 * trials)) / denominator;
  const half = (z / denominator) * Math.sqrt((p * (1 - p)) / trials + (z * z) / (4 * trials * trials));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/**
 * Each row's first largest entry.
 *
 * @example
 * topOne(Float32Array.of(0, 2, 1, 5, 5, 3), 3); // [1, 0]
 */
export function topOne(logits: Float32Array, classes: number): number[] {
  const best: number[] = [];
  for (let row = 0; row < logits.length; row += classes) {
    let top = 0;
    for (let c = 1; c < classes; c++) if (logits[row + c] > logits[row + top]) top = c;
    best.push(top);
  }
  return best;
}

/**
 * Fraction of rows with the same top-1 class.
 *
 * @example
 * agreement(Float32Array.of(0, 1, 1, 0), Float32Array.of(0, 3, 2, 4), 2); // 0.5
 */
export function agreement(a: Float32Array, b: Float32Array, classes: number): number {
  const other = topOne(b, classes);
  return topOne(a, classes).filter((c, i) => c === other[i]).length / other.length;
}

/**
 * 10 log10(signal power / noise power) of `logits` against `reference`; infinite when they are equal.
 *
 * @example
 * logitSqnrDb(Float32Array.of(9, 0), Float32Array.of(10, 0)); // 20
 */
export function logitSqnrDb(logits: Float32Array, reference: Float32Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < reference.length; i++) {
    signal += reference[i] ** 2;
    noise += (logits[i] - reference[i]) ** 2;
  }
  return decibelsOf(signal, noise);
}

/** 10 log10 of a ratio of powers; infinite where there is no noise. */
export function decibelsOf(signal: number, noise: number): number {
  return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
}
