/** Float32 numbers as integers in units of 2^-149: exact, whatever their scale. */
export const integersOf = (values: ArrayLike<number>): bigint[] => Array.from(values, integerOf);

function integerOf(value: number): bigint {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer);
  const biased = (bits >>> 23) & 0xff;
  const significand = BigInt(biased > 0 ? (bits & 0x7fffff) | 0x800000 : bits & 0x7fffff);
  const magnitude = significand << BigInt(Math.max(0, biased - 1));
  return bits >>> 31 ? -magnitude : magnitude;
}

/** A fraction of integers, for comparisons without any rounding. */
export interface Fraction {
  over: bigint;
  under: bigint;
}

const less = (a: Fraction, b: Fraction) => a.over * b.under < b.over * a.under;

/**
 * The least squared error of any codebook of k real numbers, in units of 2^-298, by the plain O(k n^2) recurrence in
 * integers: nothing of it is shared with the library.
 */
export function exactOptimum(values: ArrayLike<number>, k: number): Fraction {
  const sorted = integersOf(values).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const n = sorted.length;
  // n x error: n Q - S^2 is an integer, and a common denominator of all runs is lcm(1..n).
  let under = 1n;
  for (let i = 2n; i <= BigInt(n); i++) under = (under * i) / gcd(under, i);
  const costs = sorted.map((_, begin) => {
    const row: bigint[] = new Array(n + 1).fill(0n);
    let [sum, squares] = [0n, 0n];
    for (let end = begin + 1; end <= n; end++) {
      sum += sorted[end - 1];
      squares += sorted[end - 1] ** 2n;
      const count = BigInt(end - begin);
      row[end] = (count * squares - sum * sum) * (under / count);
    }
    return row;
  });
  let best = costs[0].slice();
  for (let run = 1; run < k; run++) {
    const before = best;
    best = before.map((error, end) => {
      let least = error;
      for (let begin = 1; begin < end; begin++) {
        const value = before[begin] + costs[begin][end];
        if (value < least) least = value;
      }
      return least;
    });
  }
  return { over: best[n], under };
}

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b));

/** The squared error of values and what stands for them, in the units of {@link exactOptimum}. */
export function exactError(values: ArrayLike<number>, meanings: ArrayLike<number>): Fraction {
  const others = integersOf(meanings);
  const over = integersOf(values).reduce((total, value, i) => total + (value - others[i]) ** 2n, 0n);
  return { over, under: 1n };
}

/**
 * Whether `error` is the optimum but for float rounding of the codebook: at most `relative` of it and, for each value, a
 * quarter of the square of its float32 spacing above.
 */
export function isOptimal(
  error: Fraction,
  optimum: Fraction,
  meanings: ArrayLike<number>,
  relative: bigint,
): boolean {
  // A centroid is half a spacing from the mean at most, and that adds its square to each member's error.
  const slack = integersOf(meanings).reduce((total, value) => {
    const spacing = 1n << BigInt(Math.max(0, (value < 0n ? -value : value).toString(2).length - 24));
    return total + spacing * spacing;
  }, 0n);
  const over = optimum.over * (relative + 1n) * 4n + slack * optimum.under * relative;
  return !less({ over, under: optimum.under * relative * 4n }, error);
}

/** Whether `error` is at most the other. */
export const atMost = (error: Fraction, other: Fraction) => !less(other, error);
