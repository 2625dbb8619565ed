import { channelOf, type FakeQuantizeLayout } from './fake-quantize.ts';
import { roundHalfToEven } from './round.ts';

/**
 * The straight-through estimator, in float64: the gradient where the code is inside its range, else 0.
 *
 * @example
 * fakeQuantizeGradient([0.6, 0.8], [1, 2], [0.5, 0], { block: 2, lanes: 1, quantMin: -2, quantMax: 1 }); // 1 0
 */
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
