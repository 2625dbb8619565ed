import type { Qparams } from './add-int8.ts';
import { type RequantizeRule, requantizeReference, roundHalfEven } from './requantize.ts';

/** CPU twin of one element of shaders/concat-int8.wgsl: a code of one input as a code of the output. */
export function rescaleReference(
  rule: RequantizeRule,
  code: number,
  input: Qparams,
  y: Qparams & { low: number; high: number },
): number {
  const difference = code - input.zeroPoint;
  if (rule === 'ort-f32') {
    const quotient = Math.fround(Math.fround(difference * input.scale) / y.scale);
    return Math.min(Math.max(roundHalfEven(quotient) + y.zeroPoint, y.low), y.high);
  }
  return requantizeReference(rule, difference, {
    inputScale: input.scale,
    weightScale: 1,
    outputScale: y.scale,
    zeroPoint: y.zeroPoint,
    low: y.low,
    high: y.high,
  });
}
