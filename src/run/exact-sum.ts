import { check } from '../gpu/errors.ts';

/**
 * A sum of float64 numbers without any rounding: a whole number of 2^-1074, the smallest float64. Added in any order
 * and any grouping it is the same, so that parts of a test set come to the sum of the whole. What is not finite
 * stays the number that it is.
 */
export type ExactSum = bigint | number;

/** Every float64 is a whole number of 2^UNIT. */
const UNIT = -1074;
/** Sums of 2^64 of the largest float64 would be longer: what a file says beyond it is no sum. */
const MOST_BITS = 2200;

const view = new DataView(new ArrayBuffer(8));

/** A number as a sum of one. */
export function exactly(value: number): ExactSum {
  if (!Number.isFinite(value)) return value;
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & (2n ** 52n - 1n);
  const magnitude = exponent === 0n ? fraction : (fraction | (2n ** 52n)) << (exponent - 1n);
  return value < 0 ? -magnitude : magnitude;
}

export function addExactly(a: ExactSum, b: ExactSum): ExactSum {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a + b;
  return (typeof a === 'number' ? a : 0) + (typeof b === 'number' ? b : 0);
}

/** The nearest float64, ties to even. */
export function nearest(sum: ExactSum): number {
  if (typeof sum === 'number') return sum;
  const magnitude = sum < 0n ? -sum : sum;
  // 64 bits and whether anything lies below them: Number() rounds that as it would round them all.
  const below = BigInt(Math.max(0, magnitude.toString(2).length - 64));
  const top = (magnitude >> below) | (magnitude & ((1n << below) - 1n) ? 1n : 0n);
  const value = Number(top) * 2 ** (Number(below) + UNIT);
  return sum < 0n ? -value : value;
}

/** `0x1b3p-52`, which C and Python read as the number it is; `Infinity` or `NaN` where it is not finite. */
export function writeExact(sum: ExactSum): string {
  if (typeof sum === 'number') return String(sum);
  if (sum === 0n) return '0x0p0';
  const magnitude = sum < 0n ? -sum : sum;
  const digits = magnitude.toString(2);
  const zeros = digits.length - 1 - digits.lastIndexOf('1');
  return `${sum < 0n ? '-' : ''}0x${(magnitude >> BigInt(zeros)).toString(16)}p${zeros + UNIT}`;
}

/** Whether a value is what {@link writeExact} writes. */
export function isExact(text: unknown): text is string {
  if (typeof text !== 'string') return false;
  if (/^(-?Infinity|NaN)$/.test(text)) return true;
  const match = /^-?0x([0-9a-f]{1,600})p(-?\d{1,4})$/.exec(text);
  const shift = match ? Number(match[2]) - UNIT : -1;
  return match !== null && shift >= 0 && shift + 4 * match[1].length <= MOST_BITS;
}

/**
 * What {@link writeExact} wrote.
 *
 * @throws LloydError for any other text
 */
export function readExact(text: string): ExactSum {
  check(isExact(text), 'an exact sum must be hexadecimal with a binary exponent, as 0x1b3p-52', text);
  if (!text.includes('p')) return Number(text);
  const [digits, exponent] = text.replace('-0x', '0x').split('p');
  const magnitude = BigInt(digits) << BigInt(Number(exponent) - UNIT);
  return text.startsWith('-') ? -magnitude : magnitude;
}
