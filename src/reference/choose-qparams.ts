import { roundHalfToEven } from './round.ts';

/** A range narrower than this is widened to it, so that no scale is 0 (MIT 6.5940's floor). */
const SMALLEST_RANGE = Math.fround(5e-7);

/** Codes from `quantMin` to `quantMax`; symmetric ranges put 0 at code 0, or at the middle code of unsigned ones. */
export interface CodeRange {
  quantMin: number;
  quantMax: number;
  symmetric: boolean;
}

/** One scale and zero point a range. */
export interface Qparams {
  scale: Float32Array;
  zeroPoint: Int32Array;
}

/**
 * Chooses scale and zero point from each range; the CPU twin of `shaders/choose-qparams.wgsl`, step by step in f32.
 *
 * Symmetric: `scale = max(|min|, |max|, 5e-7) / (quantMax - z)` with z = 0, or the middle code of an unsigned range.
 * Asymmetric: the range is widened to hold 0 (as in ONNX DynamicQuantizeLinear), `scale = max(max - min, 5e-7) /
 * (quantMax - quantMin)`, `z = clamp(rne(quantMin - min / scale))`.
 *
 * @param minimum smallest value of each range, finite
 * @param maximum largest value of each range, finite
 * @example
 * chooseQparams([-0.25], [0.75], { quantMin: -2, quantMax: 1, symmetric: false }); // scale [1/3], zeroPoint [-1]
 */
export function chooseQparams(
  minimum: ArrayLike<number>,
  maximum: ArrayLike<number>,
  { quantMin, quantMax, symmetric }: CodeRange,
): Qparams {
  const scale = new Float32Array(minimum.length);
  const zeroPoint = new Int32Array(minimum.length);
  const middle = quantMin >= 0 ? (quantMax + 1) >> 1 : 0;
  for (let i = 0; i < minimum.length; i++) {
    if (symmetric) {
      const largest = Math.max(Math.abs(minimum[i]), Math.abs(maximum[i]), SMALLEST_RANGE);
      scale[i] = Math.fround(largest) / (quantMax - middle);
      zeroPoint[i] = middle;
    } else {
      const low = Math.fround(Math.min(minimum[i], 0));
      const high = Math.fround(Math.max(maximum[i], 0));
      // Halves are exact, and half the width of any two f32 is still an f32.
      const halfWidth = Math.max(Math.fround(high / 2 - low / 2), SMALLEST_RANGE / 2);
      scale[i] = halfWidth / ((quantMax - quantMin) / 2);
      const lowest = roundHalfToEven(Math.fround(quantMin - Math.fround(low / scale[i])));
      zeroPoint[i] = Math.min(Math.max(lowest, quantMin), quantMax);
    }
  }
  return { scale, zeroPoint };
}
