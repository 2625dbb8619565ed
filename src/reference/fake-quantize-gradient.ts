import { channelOf, type FakeQuantizeLayout } from './fake-quantize.ts';
import { roundHalfToEven } from './round.ts';

/** The straight-through estimator, in float64: the gradient where the code is inside its range, else 0. */
export function fakeQuantizeGradient(
  input: ArrayLike<number>,
  gradient: ArrayLike<number>,
  qparams: ArrayLike<number>,
  layout: FakeQuantizeLayout,
): Float64Array {
  return Float64Array.from(input, (x, i) => {
    const c = channelOf(i, layout);
    const code = roundHalfToEven(x / qparams[c * 2]) + qparams[c * 2 + 1];
    return code >= layout.quantMin && code <= layout.quantMax ? gradient[i] : 0;
  });
}
