import { checkAccumulator } from '../../conv/accumulator.ts';
import { LloydError } from '../../gpu/errors.ts';
import type { Node } from './node.ts';
import { rangeOf } from './qparams.ts';
import { sizeOf } from './tensors.ts';
import { numbersOf, type Value } from './value.ts';

/** Values that a tensor can have: those that it has where it is known, else its type's ends. */
const possible = (value: Value): ArrayLike<number> =>
  value.data ? (value.data as ArrayLike<number>) : rangeOf(value.dtype);

/** The differences from a zero point that a tensor's codes can come to, 0 (padding) included. */
function differences(codes: Value, zeros: Value | null): [low: number, high: number] {
  const [least, most] = extremes(possible(codes));
  const [smallest, largest] = extremes(zeros ? possible(zeros) : [0]);
  return [Math.min(0, least - largest), Math.max(0, most - smallest)];
}

function extremes(values: ArrayLike<number>): [least: number, most: number] {
  let [least, most] = [values[0], values[0]];
  for (let i = 1; i < values.length; i++) {
    if (values[i] < least) least = values[i];
    if (values[i] > most) most = values[i];
  }
  return [least, most];
}

/** Weights by output channel: [channels, terms] row-major. */
export interface ChannelWeights {
  data: ArrayLike<number>;
  channels: number;
  zeroPoints: ArrayLike<number>;
}

/**
 * Refuses an operator that requantizes accumulators which could leave int32 for inputs like these: a wrapped sum would
 * become a wrong code. ONNX lets the sums themselves (ConvInteger, MatMulInteger) wrap.
 *
 * @param terms products a sum.
 * @param weightsOf the weights, asked for only where their number alone doesn't settle it; null where the network
 *   computes them.
 * @throws LloydError above 2^31 - 1.
 */
export function checkRequantized(
  node: Node,
  x: { codes: Value; zeros: Value | null },
  terms: number,
  bias: Value | null,
  weightsOf: () => Iterable<ChannelWeights> | null,
): void {
  if (sizeOf(x.codes.dims) === 0 || terms === 0) return;
  node.ensure(
    !bias || bias.data,
    'B must be constant: the sums could leave int32 otherwise',
    'a value computed by the network',
  );
  const inputRange = differences(x.codes, x.zeros);
  // Codes and zero points of a byte type are at most 255 apart.
  const most = Math.max(-inputRange[0], inputRange[1]) * 255 * terms;
  const values = bias && numbersOf(bias);
  const largestBias = values?.reduce((worst, value) => Math.max(worst, Math.abs(value)), 0) ?? 0;
  if (most + largestBias < 2 ** 31) return;
  const known = weightsOf();
  if (!known) {
    throw new LloydError(
      `${node.operator}: |accumulator| must stay within int32, at or below ${2 ** 31 - 1}, for every input in range`,
      `up to ${most + largestBias} of ${terms} terms, whose weights the network computes`,
      'make fewer terms, or constant weights and zero points, whose sums are known to fit',
    );
  }
  for (const { data, channels, zeroPoints } of known) {
    if (channels === 0) continue;
    checkAccumulator(node.operator, {
      weights: data,
      channels,
      weightZeroPoint: zeroPoints,
      inputRange,
      inputZeroPoint: 0,
      ...(values && { bias: values }),
    });
  }
}
