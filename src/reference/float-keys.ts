/** Key of 0 and -0; keys below it are of negative numbers. */
export const ZERO_KEY = 2 ** 31;
/** What a limb of 0 is: limbs are unsigned. */
export const ZERO_LIMB = 2 ** 24;

/** The key of a float32, given by its bits: see shaders/lib/float-keys.wgsl. */
export function keyOfBits(bits: number): number {
  const magnitude = bits & 0x7fffffff;
  return bits >>> 31 === 1 ? ZERO_KEY - magnitude : ZERO_KEY + magnitude;
}

/** Significand and biased exponent, at least 1, of a key's number without its sign. */
function partsOf(key: number): { significand: number; exponent: number } {
  const magnitude = Math.abs(key - ZERO_KEY);
  const biased = Math.floor(magnitude / 2 ** 23);
  return {
    significand: (magnitude % 2 ** 23) + (biased > 0 ? 2 ** 23 : 0),
    exponent: Math.max(1, biased),
  };
}

/** A key's number in units of 2^-150: an integer, and even. */
export function integerOfKey(key: number): bigint {
  const { significand, exponent } = partsOf(key);
  const magnitude = BigInt(significand) << BigInt(exponent);
  return key < ZERO_KEY ? -magnitude : magnitude;
}

/** One limb: 24 bits of the magnitude from 2^(base - 150) up, with the number's sign, and 2^24 added. */
export function limbOfKey(key: number, base: number): number {
  if (key === 0) return 0;
  const { significand, exponent } = partsOf(key);
  // Exact: a float64 holds 24 bits at any power of two from 2^-300 to 2^300.
  const limb = Math.floor(significand * 2 ** (exponent - base)) % 2 ** 24;
  return key < ZERO_KEY ? ZERO_LIMB - limb : ZERO_LIMB + limb;
}

/** How a quotient becomes a float: `nearest` with ties to even, or `down` to the next one below. */
export type KeyRounding = 'nearest' | 'down';

/** The key of the float32 that numerator / denominator, in units of 2^-150, rounds to. */
export function keyOfQuotient(numerator: bigint, denominator: bigint, rounding: KeyRounding): number {
  const negative = numerator < 0n;
  const magnitude = negative ? -numerator : numerator;
  // Units of the quotient's last significand bit: 24 bits stay, and none below the smallest subnormal, 2 units.
  let exponent = 1;
  while (magnitude >> BigInt(exponent) >= denominator << 24n) exponent += 1;
  const unit = denominator << BigInt(exponent);
  let significand = magnitude / unit;
  const rest = magnitude % unit;
  if (rounding === 'down') significand += negative && rest > 0n ? 1n : 0n;
  else if (2n * rest > unit || (2n * rest === unit && significand % 2n === 1n)) significand += 1n;
  const bits = Number(significand) + (exponent - 1) * 2 ** 23;
  return negative ? ZERO_KEY - bits : ZERO_KEY + bits;
}

/**
 * The key of the largest float32 that is not above the middle of two.
 *
 * @example
 * midpointKey(ZERO_KEY, ZERO_KEY + 1); // ZERO_KEY: nothing lies between 0 and the smallest subnormal
 */
export const midpointKey = (a: number, b: number) =>
  keyOfQuotient(integerOfKey(a) + integerOfKey(b), 2n, 'down');
