import { channelOf, type FakeQuantizeLayout } from './fake-quantize.ts';
import { roundHalfToEven } from './round.ts';

/**
 * Gradient of each channel's scale (LSQ), in float64.
 *
 * @example
 * stepSizeGradient([0.6], [1], [0.5, 0], { block: 1, lanes: 1, quantMin: -2, quantMax: 1 }); // 1 - 1.2
 */
export function stepSizeGradient(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  qparams: ArrayLike<number>,
  layout: FakeQuantizeLayout,
  gradientScale = 1,
): Float64Array {
  const sums = new Float64Array(qparams.length / 2);
  for (let i = 0; i < input.length; i++) {
    const c = channelOf(i, layout);
    const value = input[i] / qparams[c * 2];
    const zeroPoint = qparams[c * 2 + 1];
    const code = roundHalfToEven(value) + zeroPoint;
    const inside = code >= layout.quantMin && code <= layout.quantMax;
    const clamped = Math.min(layout.quantMax, Math.max(layout.quantMin, code)) - zeroPoint;
    sums[c] += gradient[i] * (inside ? clamped - value : clamped) * gradientScale;
  }
  return sums;
}
