import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/**
 * CPU twin of shaders/lib/requantize.wgsl: the six rules as their sources state them, in BigInt where the
 * source has 64-bit integers and in float64 or `Math.fround` where it has floats.
 */

/** The rule by which an int32 accumulator becomes an output code. */
export type RequantizeRule = 'ort-f32' | 'onnx-ref' | 'tflite-double' | 'tflite-single' | 'xnn-rndnu' | 'lab';

/** Scales and the output's integer range; `low` already includes a fused ReLU. */
export interface RequantizeSettings {
  inputScale: number;
  weightScale: number;
  outputScale: number;
  zeroPoint: number;
  low: number;
  high: number;
}

/** The nearest integer, ties to even (JavaScript's Math.round takes ties up). */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
const clampBig = (value: bigint, low: number, high: number) =>
  value < BigInt(low) ? low : value > BigInt(high) ? high : Number(value);

/** What accumulators are multiplied by: a float, or an integer and how far its product is shifted. */
interface Multiplier {
  real: number;
  mantissa: bigint;
  /** Of `tflite-double` the exponent, of `tflite-single` and `xnn-rndnu` the right shift. */
  power: number;
}

/** One accumulator by one rule. */
export function requantizeReference(
  rule: RequantizeRule,
  accumulator: number,
  settings: RequantizeSettings,
): number {
  const { inputScale, weightScale, outputScale, zeroPoint, low, high } = settings;
  const single = Math.fround(
    Math.fround(Math.fround(inputScale) * Math.fround(weightScale)) / Math.fround(outputScale),
  );
  const multiplier: Multiplier = { real: single, mantissa: 0n, power: 0 };
  if (rule === 'tflite-double' || rule === 'tflite-single') {
    const double = (Math.fround(inputScale) * Math.fround(weightScale)) / Math.fround(outputScale);
    const { mantissa, exponent } = quantizeMultiplier(double, rule === 'tflite-single');
    Object.assign(multiplier, { mantissa, power: rule === 'tflite-single' ? 31 - exponent : exponent });
  } else if (rule === 'xnn-rndnu') {
    const bits = new Uint32Array(Float32Array.of(single).buffer)[0];
    const biased = bits >>> 23;
    multiplier.mantissa = BigInt((bits & 0x7fffff) | (biased > 0 ? 0x800000 : 0));
    multiplier.power = 127 + 23 - Math.max(biased, 1);
  }
  return rounded(rule, accumulator, multiplier, zeroPoint, low, high);
}

const BRANCHES: readonly RequantizeRule[] = [
  ...([
    'ort-f32',
    'ort-f32',
    'onnx-ref',
    'tflite-double',
    'tflite-single',
    'xnn-rndnu',
    'lab',
    'lab',
  ] as const),
];

/** As the shader has it: the branch `REQUANTIZE` and the multiplier's two words instead of a rule and scales. */
export function requantizeWordsReference(
  REQUANTIZE: number | string,
  accumulator: number,
  [x, y]: ArrayLike<number> & Iterable<number>,
  { zeroPoint, low, high }: Pick<RequantizeSettings, 'zeroPoint' | 'low' | 'high'>,
): number {
  const rule = BRANCHES[Number.parseInt(String(REQUANTIZE), 10)];
  const real = new Float32Array(Uint32Array.of(x).buffer)[0];
  return rounded(rule, accumulator, { real, mantissa: BigInt(x), power: y | 0 }, zeroPoint, low, high);
}

function rounded(
  rule: RequantizeRule,
  accumulator: number,
  { real, mantissa, power }: Multiplier,
  zeroPoint: number,
  low: number,
  high: number,
): number {
  switch (rule) {
    case 'ort-f32': {
      const scaled = Math.fround(Math.fround(accumulator) * real);
      return roundHalfEven(clamp(scaled, low - zeroPoint, high - zeroPoint)) + zeroPoint;
    }
    case 'onnx-ref':
      return clamp(roundHalfEven(accumulator * real + zeroPoint), low, high);
    case 'lab': {
      const shifted = Math.fround(Math.fround(Math.fround(accumulator) * real) + zeroPoint);
      return clamp(roundHalfEven(shifted), low, high);
    }
    case 'tflite-double':
      return clampBig(
        multiplyDoubleRounding(BigInt(accumulator), mantissa, power) + BigInt(zeroPoint),
        low,
        high,
      );
    case 'tflite-single':
    case 'xnn-rndnu': {
      const shift = BigInt(power);
      const product = BigInt(accumulator) * mantissa;
      const quotient = shift > 0n ? (product + (1n << (shift - 1n))) >> shift : product << -shift;
      return clampBig(quotient, low - zeroPoint, high - zeroPoint) + zeroPoint;
    }
  }
}

/**
 * CPU twin of shaders/requantize.wgsl, a code a word.
 *
 * @example
 * requantizeTwin({ accumulators, multipliers, codes }, params, { REQUANTIZE: '1u', PACKED: '0u' });
 */
export function requantizeTwin(
  { accumulators, multipliers, codes }: TwinBuffers,
  { count, channels, channelStride, zeroPoint, low, high }: TwinParams,
  { REQUANTIZE = '0u' }: TwinSpecialization,
): void {
  for (let i = 0; i < count; i++) {
    const at = (Math.floor(i / channelStride) % channels) * 2;
    const words = multipliers.subarray(at, at + 2);
    codes[i] = requantizeWordsReference(REQUANTIZE, accumulators[i], words, { zeroPoint, low, high });
  }
}

/** TFLite's QuantizeMultiplier: real = mantissa * 2^(exponent - 31), the mantissa in [2^30, 2^31). */
function quantizeMultiplier(real: number, singleRounding: boolean): { mantissa: bigint; exponent: number } {
  if (real === 0) return { mantissa: 0n, exponent: 0 };
  let exponent = 0;
  let fraction = real;
  while (fraction >= 1) {
    fraction /= 2;
    exponent++;
  }
  while (fraction < 0.5) {
    fraction *= 2;
    exponent--;
  }
  let mantissa = BigInt(Math.floor(fraction * 2 ** 31 + 0.5));
  if (mantissa === 2n ** 31n) {
    mantissa /= 2n;
    exponent++;
  }
  if (exponent < -31) return { mantissa: 0n, exponent: 0 };
  if (singleRounding && exponent > 30) return { mantissa: 2n ** 31n - 1n, exponent: 30 };
  return { mantissa, exponent };
}

/** RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(accumulator * 2^left, mantissa), right), unbounded. */
function multiplyDoubleRounding(accumulator: bigint, mantissa: bigint, exponent: number): bigint {
  const left = BigInt(Math.max(exponent, 0));
  const right = BigInt(Math.max(-exponent, 0));
  const product = (accumulator << left) * mantissa;
  const nudge = product >= 0n ? 2n ** 30n : 1n - 2n ** 30n;
  const high = (product + nudge) / 2n ** 31n; // BigInt division truncates, as the source's does
  const mask = 2n ** right - 1n;
  const remainder = high & mask;
  const threshold = (mask >> 1n) + (high < 0n ? 1n : 0n);
  return (high >> right) + (remainder > threshold ? 1n : 0n);
}
