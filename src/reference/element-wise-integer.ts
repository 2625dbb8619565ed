import { eachElement } from './element-wise.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

type Binary = (x: number, y: number, z: number) => number;

const divide: Binary = (x, y) => (y === 0 ? 0 : Math.trunc(x / y));
const flag = (value: boolean) => Number(value);

function power(x: number, y: number): number {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y % 2 === 0 ? 1 : -1) : 0;
  let result = 1;
  for (let base = x, rest = y; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, base);
    base = Math.imul(base, base);
  }
  return result;
}

const functions: Readonly<Record<number, Binary>> = {
  0: (x) => x,
  1: (x) => Math.max(x, 0),
  20: Math.abs,
  21: (x) => -x,
  26: Math.sign,
  30: (x) => flag(x === 0),
  31: (x) => ~x,
  40: (x, y) => x + y,
  41: (x, y) => x - y,
  42: Math.imul,
  43: divide,
  44: (x, y) => Math.min(x, y),
  45: (x, y) => Math.max(x, y),
  46: power,
  47: (x, y) => (x >= 0 ? x : Math.imul(x, y)),
  48: (x, y) => (y === 0 ? 0 : x % y),
  49: (x, y) => (y === 0 ? 0 : x - y * Math.floor(x / y)),
  50: (x, low, high) => Math.min(Math.max(x, low), high),
  51: (x, y, z) => (x ? y : z),
  52: (x, y) => x & y,
  53: (x, y) => x | y,
  54: (x, y) => x ^ y,
  60: (x, y) => flag(x === y),
  61: (x, y) => flag(x < y),
  62: (x, y) => flag(x <= y),
  63: (x, y) => flag(x > y),
  64: (x, y) => flag(x >= y),
  66: (x) => flag(x !== 0),
  69: (x) => x,
};

/**
 * CPU twin of shaders/element-wise-integer.wgsl.
 *
 * @example
 * const output = new Float64Array(2);
 * const axes = Float64Array.of(2, 1, 1, 0);
 * elementWiseIntegerReference({ a, b, c: b, axes, output }, { count: 2, rank: 1, bits: 8, isSigned: 0 }, { OP: 40 });
 */
export function elementWiseIntegerReference(
  { a, b, c, axes, output }: TwinBuffers,
  { count, rank, bits, isSigned }: TwinParams,
  { OP, Integer = 'i32' }: TwinSpecialization,
): void {
  const unsigned = Integer === 'u32';
  const evaluate: Binary =
    OP === 55
      ? (x, y) => (y >= 32 ? 0 : x << y)
      : OP === 56
        ? (x, y) => (y >= 32 ? 0 : unsigned ? x >>> y : x >> y)
        : functions[OP as number];
  const moves = OP === 51 || OP === 69;
  eachElement(count, rank, axes, (index, i, j, k) => {
    const value = evaluate(a[i], b[j], c[k]);
    output[index] = moves ? value : wrap(value, bits, unsigned || (bits < 32 && isSigned === 0));
  });
}

/** Modulo 2^bits, as an unsigned or a two's complement number. */
function wrap(value: number, bits: number, unsigned: boolean): number {
  if (bits >= 32) return unsigned ? value >>> 0 : value | 0;
  const high = 32 - bits;
  return unsigned ? (value << high) >>> high : (value << high) >> high;
}
