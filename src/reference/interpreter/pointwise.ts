// Operators of each element by itself: https://onnx.ai/onnx/operators/.
import type { Definition } from './call.ts';
import {
  broadcastAt,
  broadcastDims,
  isFloat,
  make,
  roundHalfEven,
  roundToHalf,
  times,
  type Value,
} from './value.ts';

const each = (x: Value, f: (x: number) => number, dtype = x.dtype): Value[] => [
  make(dtype, x.dims, (_, place) => f(x.data[place])),
];

const unary =
  (f: (x: number) => number): Definition =>
  (call) =>
    each(call.input(0), f);

function pairs(a: Value, b: Value, f: (a: number, b: number) => number, dtype = a.dtype): Value {
  const dims = broadcastDims([a.dims, b.dims]);
  return make(dtype, dims, (at) => f(broadcastAt(a, at), broadcastAt(b, at)));
}

/** A function of two elements, of the dtype of the first or of another. */
const binary =
  (f: (a: number, b: number, dtype: string) => number, result?: string): Definition =>
  (call) => {
    const [a, b] = [call.input(0), call.input(1)];
    return [pairs(a, b, (x, y) => f(x, y, a.dtype), result ?? a.dtype)];
  };

const compare = (f: (a: number, b: number) => boolean) => binary((a, b) => Number(f(a, b)), 'bool');

/** Two at a time from the left. */
const variadic =
  (f: (a: number, b: number) => number): Definition =>
  (call) => [call.given(0).reduce((made, next) => pairs(made, next, f))];

/** The error function by the series of Kummer's, whose terms are all of one sign. */
function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** log(1 + exp(x)), which does not overflow. */
const softplus = (x: number) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));
const within = (low: number, x: number, high: number) => Math.min(high, Math.max(low, x));

const leakyRelu: Definition = (call) => {
  const alpha = call.float('alpha', 0.01);
  return each(call.input(0), (x) => (x < 0 ? alpha * x : x));
};

const hardSigmoid: Definition = (call) => {
  const [alpha, beta] = [call.float('alpha', 0.2), call.float('beta', 0.5)];
  return each(call.input(0), (x) => within(0, alpha * x + beta, 1));
};

const swish: Definition = (call) => {
  const alpha = call.float('alpha', 1);
  return each(call.input(0), (x) => x * sigmoid(alpha * x));
};

const elu: Definition = (call) => {
  const alpha = call.float('alpha', 1);
  return each(call.input(0), (x) => (x < 0 ? alpha * Math.expm1(x) : x));
};

const selu: Definition = (call) => {
  const [alpha, gamma] = [call.float('alpha', 1.6732632423543772), call.float('gamma', 1.0507009873554805)];
  return each(call.input(0), (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x)));
};

const celu: Definition = (call) => {
  const alpha = call.float('alpha', 1);
  return each(call.input(0), (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha)));
};

const thresholdedRelu: Definition = (call) => {
  const alpha = call.float('alpha', 1);
  return each(call.input(0), (x) => (Number.isNaN(x) || x > alpha ? x : 0));
};

const gelu: Definition = (call) => {
  const tanh = call.text('approximate', 'none') === 'tanh';
  const near = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  return each(call.input(0), (x) => (tanh ? near(x) : 0.5 * x * (1 + erf(x / Math.SQRT2))));
};

/** Bounds are attributes up to opset 10. */
const clip: Definition = (call) => {
  const asAttributes = call.opset < 11;
  const bound = (name: string, place: number, open: number) =>
    asAttributes ? call.float(name, open) : (call.optional(place)?.data[0] ?? open);
  const low = bound('min', 1, Number.NEGATIVE_INFINITY);
  const high = bound('max', 2, Number.POSITIVE_INFINITY);
  return each(call.input(0), (x) => Math.min(high, Math.max(low, x)));
};

const divide = (a: number, b: number, dtype: string) => (isFloat(dtype) ? a / b : Math.trunc(a / b));

/** The power has the dtype of its base. */
function power(base: number, exponent: number, dtype: string): number {
  if (isFloat(dtype)) return base ** exponent;
  if (!Number.isInteger(exponent) || exponent < 0) return Math.trunc(base ** exponent);
  let result = 1;
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base);
  return result;
}

/** The remainder has the sign of the divisor, with fmod that of the dividend. */
const mod: Definition = (call) => {
  const fmod = call.integer('fmod', 0) === 1;
  const floored = (a: number, b: number) => a - b * Math.floor(a / b);
  return [pairs(call.input(0), call.input(1), (a, b) => (fmod ? a % b : floored(a, b)))];
};

const shrink: Definition = (call) => {
  const [lambd, bias] = [call.float('lambd', 0.5), call.float('bias', 0)];
  return each(call.input(0), (x) => (x < -lambd ? x + bias : x > lambd ? x - bias : Number.isNaN(x) ? x : 0));
};

const isInf: Definition = (call) => {
  const looked = [-1, 1].filter((_, i) => call.integer(['detect_negative', 'detect_positive'][i], 1) === 1);
  return each(call.input(0), (x) => Number(looked.some((sign) => x === sign / 0)), 'bool');
};

/** Bits shifted beyond either end are lost. */
const bitShift: Definition = (call) => {
  const factor = call.text('direction', '') === 'LEFT' ? 2 : 0.5;
  return [pairs(call.input(0), call.input(1), (x, by) => Math.floor(x * factor ** by) % 2 ** 32)];
};

const where: Definition = (call) => {
  const [condition, x, y] = [0, 1, 2].map((place) => call.input(place));
  const dims = broadcastDims([condition.dims, x.dims, y.dims]);
  return [make(x.dtype, dims, (at) => broadcastAt(broadcastAt(condition, at) ? x : y, at))];
};

const mean: Definition = (call) => {
  const values = call.given(0);
  const sum = values.reduce((made, next) => pairs(made, next, (a, b) => a + b));
  return each(sum, (x) => x / values.length);
};

/** TensorProto.DataType. */
const DTYPES: Readonly<Record<number, string>> = {
  ...{ 1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 9: 'bool' },
  ...{ 10: 'float16', 12: 'uint32', 21: 'uint4', 22: 'int4', 25: 'uint2', 26: 'int2' },
};

/** Floats truncate towards 0 and end where 32 bits end; narrower integers wrap. */
function converted(x: Value, to: string): Value[] {
  if (to === 'float16') return each(x, roundToHalf, to);
  if (to === 'bool' || isFloat(to) || !isFloat(x.dtype)) return each(x, (v) => v, to);
  const [low, high] = to === 'uint32' ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  return each(x, (v) => (Number.isNaN(v) ? 0 : within(low, Math.trunc(v), high)), to);
}

const cast: Definition = (call) => converted(call.input(0), DTYPES[call.integer('to', 0)]);
const castLike: Definition = (call) => converted(call.input(0), call.input(1).dtype);

export const pointwise: Readonly<Record<string, Definition>> = {
  Relu: unary((x) => Math.max(0, x)),
  LeakyRelu: leakyRelu,
  PRelu: binary((x, slope, dtype) => (x < 0 ? times(dtype, slope, x) : x)),
  Clip: clip,
  Sigmoid: unary(sigmoid),
  HardSigmoid: hardSigmoid,
  HardSwish: unary((x) => x * within(0, x / 6 + 0.5, 1)),
  Tanh: unary(Math.tanh),
  Erf: unary(erf),
  Gelu: gelu,
  Elu: elu,
  Selu: selu,
  Celu: celu,
  Softplus: unary(softplus),
  Softsign: unary((x) => x / (1 + Math.abs(x))),
  Swish: swish,
  Mish: unary((x) => x * Math.tanh(softplus(x))),
  ThresholdedRelu: thresholdedRelu,
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Atan: unary(Math.atan),
  Tan: unary(Math.tan),
  Asin: unary(Math.asin),
  Acos: unary(Math.acos),
  Sinh: unary(Math.sinh),
  Cosh: unary(Math.cosh),
  Asinh: unary(Math.asinh),
  Acosh: unary(Math.acosh),
  Atanh: unary(Math.atanh),
  Shrink: shrink,
  Abs: unary(Math.abs),
  Neg: unary((x) => -x),
  Sign: unary(Math.sign),
  Reciprocal: unary((x) => 1 / x),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(roundHalfEven),
  IsNaN: (call) => each(call.input(0), (x) => Number(Number.isNaN(x)), 'bool'),
  IsInf: isInf,
  Not: unary((x) => Number(x === 0)),
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b, dtype) => times(dtype, a, b)),
  Div: binary(divide),
  Pow: binary(power),
  Mod: mod,
  Min: variadic(Math.min),
  Max: variadic(Math.max),
  Sum: variadic((a, b) => a + b),
  Mean: mean,
  Equal: compare((a, b) => a === b),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
  Xor: compare((a, b) => (a !== 0) !== (b !== 0)),
  BitwiseAnd: binary((a, b) => a & b),
  BitwiseOr: binary((a, b) => a | b),
  BitwiseXor: binary((a, b) => a ^ b),
  BitShift: bitShift,
  BitwiseNot: unary((x) => ~x),
  Where: where,
  Cast: cast,
  CastLike: castLike,
};
