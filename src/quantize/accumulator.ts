import { check, LloydError } from '../gpu/errors.ts';

/** What an int32 accumulation adds up. */
export interface AccumulatorInput {
  /** Codes, row-major [channels, terms]: every output channel's weights one after the other. */
  weights: ArrayLike<number>;
  channels: number;
  /** One, or one a channel; 0 unless given. */
  weightZeroPoint?: number | ArrayLike<number>;
  /** Smallest and largest code that the input can take. */
  inputRange: readonly [number, number];
  inputZeroPoint: number;
  /** One a channel, in accumulator units. */
  bias?: ArrayLike<number>;
}

/** The worst case of an int32 accumulation over all inputs in range. */
export interface AccumulatorBound {
  /** Largest |accumulator| that any input can reach, over all channels. */
  worst: number;
  /** The channel that reaches it. */
  channel: number;
  /** Whether `worst` is at most 2^31 - 1. */
  fits: boolean;
  /** Ends of the runs of terms whose partial sums fit int32 in every channel; one run where the whole fits. */
  splits: number[];
}

const LIMIT = 2 ** 31 - 1;

/**
 * The exact worst case of |accumulator| from the actual weights: each term takes whichever end of the input's
 * range pushes the sum further. A padded tap adds 0, which is between the ends.
 *
 * @throws LloydError when `weights` is not a whole number of channels, or the input's zero point is not in its range.
 * @example
 * const bound = accumulatorBound({ weights: codes, channels: 64, inputRange: [-128, 127], inputZeroPoint: -5 });
 * if (!bound.fits) console.log(`sum the terms in runs that end at ${bound.splits}`);
 */
export function accumulatorBound(input: AccumulatorInput): AccumulatorBound {
  const { weights, channels, weightZeroPoint = 0, inputRange, inputZeroPoint, bias } = input;
  check(
    Number.isInteger(channels) && channels > 0 && weights.length > 0 && weights.length % channels === 0,
    'weights must hold the same number of codes, at least one, for every channel',
    [weights.length, channels],
  );
  const [low, high] = [inputRange[0] - inputZeroPoint, inputRange[1] - inputZeroPoint];
  check(low <= 0 && high >= 0, "the input's zero point must lie in its range", [
    inputZeroPoint,
    ...inputRange,
  ]);
  check(
    !bias || bias.length === channels,
    `bias must have one value for each of the ${channels} channels`,
    bias?.length,
  );
  const terms = weights.length / channels;
  const zeroOf = (channel: number) =>
    typeof weightZeroPoint === 'number'
      ? weightZeroPoint
      : weightZeroPoint[weightZeroPoint.length > 1 ? channel : 0];
  const most = Array.from({ length: channels }, (_, channel) => bias?.[channel] ?? 0);
  const least = [...most];
  // The same sums since the last split, so that a run's own partial sums fit.
  const runMost = [...most];
  const runLeast = [...most];
  const splits: number[] = [];
  for (let term = 0; term < terms; term++) {
    let full = false;
    for (let channel = 0; channel < channels; channel++) {
      const weight = weights[channel * terms + term] - zeroOf(channel);
      const [up, down] = [Math.max(weight * low, weight * high), Math.min(weight * low, weight * high)];
      most[channel] += up;
      least[channel] += down;
      runMost[channel] += up;
      runLeast[channel] += down;
      full ||= runMost[channel] > LIMIT || runLeast[channel] < -LIMIT;
    }
    if (!full || term === 0) continue;
    splits.push(term);
    for (let channel = 0; channel < channels; channel++) {
      const weight = weights[channel * terms + term] - zeroOf(channel);
      runMost[channel] = Math.max(weight * low, weight * high);
      runLeast[channel] = Math.min(weight * low, weight * high);
    }
  }
  splits.push(terms);
  let worst = 0;
  let channel = 0;
  for (let c = 0; c < channels; c++) {
    const reach = Math.max(Math.abs(most[c]), Math.abs(least[c]));
    if (reach > worst) [worst, channel] = [reach, c];
  }
  return { worst, channel, fits: worst <= LIMIT, splits };
}

/**
 * Refuses an accumulation that could leave int32.
 *
 * @param name The layer, for the message.
 * @throws LloydError above 2^31 - 1, saying where to split the sum.
 * @example
 * checkAccumulator('conv1', { weights: codes, channels: 64, inputRange: [-128, 127], inputZeroPoint: 3, bias });
 */
export function checkAccumulator(name: string, input: AccumulatorInput): AccumulatorBound {
  const bound = accumulatorBound(input);
  if (bound.fits) return bound;
  const ends =
    bound.splits.length > 8 ? `${bound.splits.slice(0, 8).join(', ')}, ...` : bound.splits.join(', ');
  throw new LloydError(
    `${name}: |accumulator| must stay at or below ${LIMIT} for every input in range`,
    `${bound.worst} in output channel ${bound.channel}`,
    `sum the terms in ${bound.splits.length} runs that end at ${ends}, or quantize the weights to fewer bits`,
  );
}
