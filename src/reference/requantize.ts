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
  const double = (Math.fround(inputScale) * Math.fround(weightScale)) / Math.fround(outputScale);
  switch (rule) {
    case 'ort-f32': {
      const scaled = Math.fround(Math.fround(accumulator) * single);
      return roundHalfEven(clamp(scaled, low - zeroPoint, high - zeroPoint)) + zeroPoint;
    }
    case 'onnx-ref':
      return clamp(roundHalfEven(accumulator * single + zeroPoint), low, high);
    case 'lab': {
      const shifted = Math.fround(Math.fround(Math.fround(accumulator) * single) + zeroPoint);
      return clamp(roundHalfEven(shifted), low, high);
    }
    case 'tflite-double': {
      const { mantissa, exponent } = quantizeMultiplier(double, false);
      return clampBig(
        multiplyDoubleRounding(BigInt(accumulator), mantissa, exponent) + BigInt(zeroPoint),
        low,
        high,
      );
    }
    case 'tflite-single': {
      const { mantissa, exponent } = quantizeMultiplier(double, true);
      const shift = BigInt(31 - exponent);
      const rounded = (BigInt(accumulator) * mantissa + (1n << (shift - 1n))) >> shift;
      return clampBig(rounded + BigInt(zeroPoint), low, high);
    }
    case 'xnn-rndnu': {
      const bits = new Uint32Array(Float32Array.of(single).buffer)[0];
      const biased = bits >>> 23;
      const mantissa = BigInt((bits & 0x7fffff) | (biased > 0 ? 0x800000 : 0));
      const shift = BigInt(127 + 23 - Math.max(biased, 1));
      const product = BigInt(accumulator) * mantissa;
      const rounded = shift > 0n ? (product + (1n << (shift - 1n))) >> shift : product << -shift;
      return clampBig(rounded, low - zeroPoint, high - zeroPoint) + zeroPoint;
    }
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
