import { roundHalfToEven } from './round.ts';

/** A range moved towards a batch's extremes, and the qparams of it. */
export interface ObservedRange {
  range: [low: number, high: number];
  scale: number;
  zeroPoint: number;
}

/**
 * The CPU twin of `shaders/observe-range.wgsl`, in float64.
 *
 * @example
 * observeRange([0, 1], [0, 2], { momentum: 0.5, quantMin: -128, quantMax: 127 }); // scale 1.5 / 255, zero point -128
 */
export function observeRange(
  before: readonly [number, number],
  seen: readonly [number, number],
  { momentum, quantMin, quantMax }: { momentum: number; quantMin: number; quantMax: number },
): ObservedRange {
  const [low, high] = before.map((end, i) => end + momentum * (seen[i] - end));
  const bottom = Math.min(low, 0);
  const top = Math.max(high, 0);
  const scale = top > bottom ? Math.max((top - bottom) / (quantMax - quantMin), 2 ** -126) : 2 ** -20;
  const zeroPoint = Math.min(quantMax, Math.max(quantMin, roundHalfToEven(quantMin - bottom / scale)));
  return { range: [low, high], scale, zeroPoint };
}
