import type { TensorData } from '../gpu/tensor.ts';
import { checkAccumulator } from '../quantize/accumulator.ts';

/** The differences from a zero point that a tensor's codes come to, 0 (padding) included. */
function differences(data: TensorData, zeroPoints: ArrayLike<number>): [low: number, high: number] {
  const zeros = Array.from(zeroPoints);
  let low = data[0];
  let high = data[0];
  for (const code of data) {
    if (code < low) low = code;
    if (code > high) high = code;
  }
  return [Math.min(0, low - Math.max(...zeros)), Math.max(0, high - Math.min(...zeros))];
}

/** Weights by output channel: [channels, terms] row-major. */
interface Weights {
  data: ArrayLike<number>;
  channels: number;
  zeroPoints: ArrayLike<number>;
}

/**
 * Refuses an operator that requantizes accumulators which could leave int32 for inputs like these: a wrapped sum would
 * become a wrong code. ONNX lets the sums themselves (ConvInteger, MatMulInteger) wrap.
 *
 * @param weightsOf the weights; asked for only where their number alone doesn't settle it.
 * @throws LloydError above 2^31 - 1.
 */
export function checkRequantized(
  operator: string,
  x: { data: TensorData; zeroPoints: ArrayLike<number> },
  terms: number,
  bias: Int32Array | null,
  weightsOf: () => Iterable<Weights>,
): void {
  const inputRange = differences(x.data, x.zeroPoints);
  // Codes and zero points of a byte type are at most 255 apart.
  const most = Math.max(-inputRange[0], inputRange[1]) * 255 * terms;
  const largestBias = bias?.reduce((worst, value) => Math.max(worst, Math.abs(value)), 0) ?? 0;
  if (most + largestBias < 2 ** 31) return;
  for (const { data, channels, zeroPoints } of weightsOf()) {
    checkAccumulator(operator, {
      weights: data,
      channels,
      weightZeroPoint: zeroPoints,
      inputRange,
      inputZeroPoint: 0,
      ...(bias && { bias }),
    });
  }
}
