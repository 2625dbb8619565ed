import { roundHalfEven } from './requantize.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** CPU twin of shaders/quantize-linear-onnx.wgsl and lib/half-float.wgsl, one element at a time. */

/** A tensor [outers, axisSize, inners] and how its scales lie over it. */
export interface ScaleLayout {
  inners: number;
  axisSize: number;
  blockSize: number;
  outerStride: number;
  axisStride: number;
  innerStride: number;
}

/** Which scale element `index` takes. */
export function scaleIndex(index: number, layout: ScaleLayout): number {
  const inner = index % layout.inners;
  const along = Math.floor(index / layout.inners) % layout.axisSize;
  const outer = Math.floor(index / layout.inners / layout.axisSize);
  const block = Math.floor(along / layout.blockSize);
  return outer * layout.outerStride + block * layout.axisStride + inner * layout.innerStride;
}

/** clamp(rne(f32(x / scale)) + zeroPoint, low, high); `halfPrecision` rounds the quotient to float16. */
export function quantizeLinearOnnxReference(
  value: number,
  scale: number,
  zeroPoint: number,
  low: number,
  high: number,
  { halfPrecision = false, wrap = false } = {},
): number {
  let quotient = Math.fround(Math.fround(value) / scale);
  if (Number.isNaN(quotient)) return low;
  if (halfPrecision) quotient = halfToFloatReference(floatToHalfReference(quotient));
  const rounded = Math.min(Math.max(roundHalfEven(quotient), -(2 ** 31)), 2 ** 31 - 1);
  const int8 = (x: number) => (x << 24) >> 24;
  const shifted = wrap ? int8(int8(rounded) + zeroPoint) : rounded + zeroPoint;
  return Math.min(Math.max(shifted, low), high);
}

/**
 * CPU twin of a dispatch of shaders/quantize-linear-onnx.wgsl.
 *
 * @example
 * quantizeLinearOnnxTwin({ input, scales, zeroPoints, output }, params, { PRECISION: '1u' });
 */
export function quantizeLinearOnnxTwin(
  { input, scales, zeroPoints, output }: TwinBuffers,
  params: TwinParams,
  { PRECISION = '0u', OVERFLOW = '0u' }: TwinSpecialization,
): void {
  const options = { halfPrecision: PRECISION === '1u', wrap: OVERFLOW === '1u' };
  const { count, low, high } = params;
  for (let i = 0; i < count; i++) {
    const at = scaleIndex(i, params as TwinParams & ScaleLayout);
    const scale = Math.fround(scales[at]);
    output[i] = quantizeLinearOnnxReference(input[i], scale, zeroPoints[at], low, high, options);
  }
}

/** A float16's value from its bits. */
export function halfToFloatReference(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

/** The bits of the float16 nearest to a number, ties to even. */
export function floatToHalfReference(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundHalfEven(size * 2 ** 24);
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  const fraction = roundHalfEven((size / 2 ** exponent - 1) * 1024);
  return sign | (((exponent + 15) << 10) + fraction);
}
