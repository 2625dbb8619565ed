import { roundHalfToEven } from './round.ts';

/** How a buffer's elements share scales, and the range of codes: see `shaders/fake-quantize.wgsl`. */
export interface FakeQuantizeLayout {
  block: number;
  lanes: number;
  quantMin: number;
  quantMax: number;
}

/** Channel of an element. */
export function channelOf(index: number, { block, lanes }: FakeQuantizeLayout): number {
  return Math.floor(index / block) * lanes + (index % lanes);
}

/** The CPU twin of `shaders/fake-quantize.wgsl`, in float64; qparams hold (scale, zero point) a channel. */
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
