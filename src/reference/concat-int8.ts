import type { Qparams } from './add-int8.ts';
import { float } from './exact-float.ts';
import {
  type RequantizeRule,
  requantizeReference,
  requantizeWordsReference,
  roundHalfEven,
} from './requantize.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

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

/**
 * CPU twin of a dispatch of shaders/concat-int8.wgsl on whole words (PACKED 0).
 *
 * @example
 * concatInt8Twin({ input, output }, params, { RESCALE: '2u', PACKED: '0u' });
 */
export function concatInt8Twin(
  { input, output }: TwinBuffers,
  params: TwinParams,
  { RESCALE = '0u', REQUANTIZE = '0u' }: TwinSpecialization,
): void {
  const { rows, length, start, inputStride, outputWords, zero, zeroPoint, low, high } = params;
  const [scale, yScale] = [float(params.scaleWord), float(params.yScaleWord)];
  const multiplier = [params.multiplier, params.multiplierMore];
  const code = (difference: number) => {
    if (RESCALE === '1u') {
      return requantizeWordsReference(REQUANTIZE, difference, multiplier, { zeroPoint, low, high });
    }
    const quotient =
      RESCALE === '0u' ? roundHalfEven(Math.fround(Math.fround(difference * scale) / yScale)) : difference;
    return Math.min(Math.max(quotient + zeroPoint, low), high);
  };
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < length; i++) {
      output[row * outputWords + start + i] = code(input[row * inputStride + i] - zero);
    }
  }
}
