import { roundHalfEven } from './requantize.ts';
import type { TwinBuffers, TwinParams } from './twin.ts';

/** CPU twin of shaders/dynamic-quantize-params.wgsl. */
export function dynamicQuantizeParamsReference(values: ArrayLike<number>): {
  scale: number;
  zeroPoint: number;
} {
  let low = 0;
  let high = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  if (low === high) return { scale: 1, zeroPoint: 0 };
  const scale = Math.fround(Math.fround(high - low) / 255);
  const quotient = Math.fround(0 - Math.fround(low / scale));
  if (Number.isNaN(quotient)) return { scale, zeroPoint: 255 };
  const zero = roundHalfEven(quotient);
  return { scale, zeroPoint: Math.min(Math.max(zero, 0), 255) };
}

/**
 * CPU twin of a dispatch of shaders/dynamic-quantize-params.wgsl.
 *
 * @example
 * dynamicQuantizeParamsTwin({ input, scale, zeroPoint }, { count: input.length });
 */
export function dynamicQuantizeParamsTwin(
  { input, scale, zeroPoint }: TwinBuffers,
  { count }: TwinParams,
): void {
  const chosen = dynamicQuantizeParamsReference(Float32Array.from(input.subarray(0, count)));
  scale[0] = chosen.scale;
  zeroPoint[0] = chosen.zeroPoint;
}
