import { roundHalfToEven } from './round.ts';

/** How a buffer's elements share scales, and the range of codes: see `shaders/fake-quantize.wgsl`. */
export interface FakeQuantizeLayout {
  block: number;
  lanes: number;
  quantMin: number;
  quantMax: number;
}

/**
 * Channel of an element.
 *
 * @example
 * channelOf(9, { block: 8, lanes: 4 }); // 5
 */
export function channelOf(index: number, { block, lanes }: FakeQuantizeLayout): number {
  return Math.floor(index / block) * lanes + (index % lanes);
}

/**
 * The CPU twin of `shaders/fake-quantize.wgsl`, in float64; qparams hold (scale, zero point) a channel.
 *
 * @example
 * fakeQuantize([0.6, 0.8], [0.5, 0], { block: 2, lanes: 1, quantMin: -2, quantMax: 1 }); // 0.5 0.5
 */
export function fakeQuantize(
  input: ArrayLike<number>,
  qparams: ArrayLike<number>,
  layout: FakeQuantizeLayout,
): Float64Array {
  return Float64Array.from(input, (x, i) => {
    const c = channelOf(i, layout);
    const [scale, zeroPoint] = [qparams[c * 2], qparams[c * 2 + 1]];
    const code = Math.min(layout.quantMax, Math.max(layout.quantMin, roundHalfToEven(x / scale) + zeroPoint));
    return (code - zeroPoint) * scale;
  });
}
