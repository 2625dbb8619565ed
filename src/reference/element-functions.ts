// float64 counterparts of shaders/lib/float-math.wgsl.
import { roundHalfEven } from './requantize.ts';

/** The error function, to about 1e-15. */
export function erf(x: number): number {
  return Math.abs(x) < 2.5 ? erfSeries(x) : Math.sign(x) * (1 - erfcTail(Math.abs(x)));
}

/** 1 - erf(x) without cancellation for large x. */
export function erfc(x: number): number {
  return x < 2.5 ? 1 - erf(x) : erfcTail(x);
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Lentz's continued fraction for x >= 2.5, from the back. */
function erfcTail(x: number): number {
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
export const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const unit = (x: number) => Math.min(1, Math.max(0, x));

/** Functions of one element by their number in shaders/element-wise.wgsl; p and q are its parameters. */
export const unaryFunctions: Readonly<Record<number, (x: number, p: number, q: number) => number>> = {
  0: (x) => x,
  1: (x) => (x > 0 ? x : 0),
  2: (x, p) => (x >= 0 ? x : x * p),
  3: sigmoid,
  4: (x, p, q) => unit(x * p + q),
  5: (x) => x * unit(x / 6 + 0.5),
  6: Math.tanh,
  7: erf,
  8: (x) => 0.5 * x * erfc(-x / Math.SQRT2),
  9: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  10: (x, p) => (x >= 0 ? x : p * Math.expm1(x)),
  11: (x, p, q) => q * (x > 0 ? x : p * Math.expm1(x)),
  12: (x, p) => (x >= 0 ? x : p * Math.expm1(x / p)),
  13: softplus,
  14: (x) => x / (1 + Math.abs(x)),
  15: (x) => x * Math.tanh(softplus(x)),
  16: (x, p) => (x > p ? x : 0),
  17: Math.exp,
  18: Math.log,
  19: Math.sqrt,
  20: Math.abs,
  21: (x) => -x,
  22: (x) => 1 / x,
  23: Math.floor,
  24: Math.ceil,
  25: roundHalfEven,
  26: Math.sign,
  27: Math.sin,
  28: Math.cos,
  30: Math.atan,
  29: (x, p) => x * sigmoid(x * p),
  31: Math.tan,
  32: Math.asin,
  33: Math.acos,
  34: Math.sinh,
  35: Math.cosh,
  36: Math.asinh,
  37: Math.acosh,
  38: Math.atanh,
  39: (x, p, q) => (x < -p ? x + q : x > p ? x - q : 0),
  70: (x, p, q) => Number(Math.abs(x) === Number.POSITIVE_INFINITY && (x > 0 ? q : p) !== 0),
};

/** C's pow, which JavaScript's differs from at a base of 1 and at (-1) to the infinite. */
export const pow = (x: number, y: number) =>
  x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y)) ? 1 : x ** y;

/** Functions of two elements and more. */
export const binaryFunctions: Readonly<Record<number, (x: number, y: number, z: number) => number>> = {
  40: (x, y) => x + y,
  41: (x, y) => x - y,
  42: (x, y) => x * y,
  43: (x, y) => x / y,
  44: (x, y) => Math.min(x, y),
  45: (x, y) => Math.max(x, y),
  46: pow,
  47: (x, y) => (x >= 0 ? x : x * y),
  48: (x, y) => x % y,
  50: (x, low, high) => Math.min(Math.max(x, low), high),
  60: (x, y) => Number(x === y),
  61: (x, y) => Number(x < y),
  62: (x, y) => Number(x <= y),
  63: (x, y) => Number(x > y),
  64: (x, y) => Number(x >= y),
  65: (x) => Number(Number.isNaN(x)),
  66: (x) => Number(x !== 0),
  67: (x) => saturate(x, -(2 ** 31), 2 ** 31 - 1),
  68: (x) => saturate(x, 0, 2 ** 32 - 1),
};

const saturate = (x: number, low: number, high: number) =>
  Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, Math.trunc(x)));
