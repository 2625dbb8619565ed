import { roundHalfToEven } from './round.ts';

/** No scale is smaller than the smallest normal f32: adapters may take what is for zero. */
const SMALLEST_SCALE = 2 ** -126;

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
 * Symmetric: `scale = max(|min|, |max|) / (quantMax - z)` with z = 0, or the middle code of an unsigned range.
 * Asymmetric: the range is widened to hold 0 (as in ONNX DynamicQuantizeLinear), `scale = (max - min) /
 * (quantMax - quantMin)`, `z = clamp(rne(quantMin - min / scale))`. A scale is at least 2^-126; a range that is 0 alone
 * has the scale 1, as in ONNX Runtime.
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
      const largest = Math.fround(Math.max(Math.abs(minimum[i]), Math.abs(maximum[i])));
      scale[i] = largest === 0 ? 1 : Math.max(Math.fround(largest / (quantMax - middle)), SMALLEST_SCALE);
      zeroPoint[i] = middle;
    } else {
      const low = Math.fround(Math.min(minimum[i], 0));
      const high = Math.fround(Math.max(maximum[i], 0));
      // Halved, so that the width of no two f32 overflows; only halves of the smallest f32 are not exact.
      const halfWidth = Math.fround(Math.fround(high / 2) - Math.fround(low / 2));
      const step = Math.fround(halfWidth / ((quantMax - quantMin) / 2));
      scale[i] = low === high ? 1 : Math.max(step, SMALLEST_SCALE);
      const lowest = roundHalfToEven(Math.fround(quantMin - Math.fround(low / scale[i])));
      zeroPoint[i] = Math.min(Math.max(lowest, quantMin), quantMax);
    }
  }
  return { scale, zeroPoint };
}
