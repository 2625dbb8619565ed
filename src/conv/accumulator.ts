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
  /**
   * For kernels that sum plain input codes and add the zero point's share and the bias at the end: the power of two by
   * which the codes of narrow weights are multiplied meanwhile (shaders/lib/packed-weights.wgsl), 1 for 8 bits. That
   * sum has to fit as well.
   */
  spread?: number;
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

/** What one term can add to a sum: `factor` times a weight times either end of the input's range. */
interface Span {
  low: number;
  high: number;
  factor: number;
  bias: boolean;
}

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
  const { weights, channels, inputRange, inputZeroPoint, bias, spread } = input;
  check(
    Number.isInteger(channels) && channels > 0 && weights.length > 0 && weights.length % channels === 0,
    'weights must hold the same number of codes, at least one, for every channel',
    [weights.length, channels],
  );
  const notFinite = Array.from(bias ?? []).find((value) => !Number.isFinite(value));
  check(
    notFinite === undefined,
    'bias must be finite',
    notFinite,
    'check the weights and scales it comes from',
  );
  const [low, high] = inputRange;
  check(low <= inputZeroPoint && inputZeroPoint <= high, "the input's zero point must lie in its range", [
    inputZeroPoint,
    ...inputRange,
  ]);
  check(
    !bias || bias.length === channels,
    `bias must have one value for each of the ${channels} channels`,
    bias?.length,
  );
  const spans: Span[] = [{ low: low - inputZeroPoint, high: high - inputZeroPoint, factor: 1, bias: true }];
  if (spread !== undefined) spans.push({ low, high, factor: spread, bias: false });
  const terms = weights.length / channels;
  let worst = 0;
  let worstChannel = 0;
  for (let channel = 0; channel < channels; channel++) {
    const sums = signedSums(input, channel, channel * terms, (channel + 1) * terms);
    for (const span of spans) {
      const start = span.bias ? (bias?.[channel] ?? 0) : 0;
      const [least, most] = reachOf(sums, span);
      const reach = Math.max(Math.abs(start + most), Math.abs(start + least));
      if (reach > worst) [worst, worstChannel] = [reach, channel];
    }
  }
  const fits = worst <= LIMIT;
  return { worst, channel: worstChannel, fits, splits: fits ? [terms] : splitsOf(input, spans, terms) };
}

/**
 * The least and the most that a channel's products can add up to, without its bias.
 *
 * @example
 * accumulatorReach({ weights: [1, -2], channels: 1, inputRange: [0, 255], inputZeroPoint: 0 }, 0); // [-510, 255]
 */
export function accumulatorReach(
  input: Omit<AccumulatorInput, 'bias' | 'spread'>,
  channel: number,
): [number, number] {
  const { weights, channels, inputRange, inputZeroPoint } = input;
  const terms = weights.length / channels;
  const [low, high] = inputRange;
  const span = { low: low - inputZeroPoint, high: high - inputZeroPoint, factor: 1, bias: false };
  return reachOf(signedSums(input, channel, channel * terms, (channel + 1) * terms), span);
}

/** The least and the most that codes of these sums can add up to. */
function reachOf(
  [positive, negative]: readonly [number, number],
  { low, high, factor }: Span,
): [number, number] {
  return [(positive * low + negative * high) * factor, (positive * high + negative * low) * factor];
}

/** The sum of the positive codes from `begin` to `end` of a channel, and of the negative ones. */
function signedSums(
  { weights, weightZeroPoint = 0 }: AccumulatorInput,
  channel: number,
  begin: number,
  end: number,
): [number, number] {
  const zero =
    typeof weightZeroPoint === 'number'
      ? weightZeroPoint
      : weightZeroPoint[weightZeroPoint.length > 1 ? channel : 0];
  // Of the sum and the sum of magnitudes: to ask every weight for its sign takes several times as long.
  let sum = 0;
  let size = 0;
  for (let i = begin; i < end; i++) {
    const weight = weights[i] - zero;
    sum += weight;
    size += Math.abs(weight);
  }
  return [(size + sum) / 2, (sum - size) / 2];
}

/** Greedily the longest runs, each begun where the next term of any channel would leave int32. */
function splitsOf(input: AccumulatorInput, spans: readonly Span[], terms: number): number[] {
  const { channels } = input;
  const splits: number[] = [];
  const sums = spans.map(() => ({ least: new Float64Array(channels), most: new Float64Array(channels) }));
  for (let term = 0; term < terms; term++) {
    const reaches = spans.map((span) =>
      Array.from({ length: channels }, (_, channel) => {
        const at = channel * terms + term;
        return reachOf(signedSums(input, channel, at, at + 1), span);
      }),
    );
    const full = sums.some(({ least, most }, s) =>
      reaches[s].some(([down, up], c) => most[c] + up > LIMIT || least[c] + down < -LIMIT),
    );
    if (full && term > 0) {
      splits.push(term);
      for (const { least, most } of sums) {
        least.fill(0);
        most.fill(0);
      }
    }
    for (const [s, { least, most }] of sums.entries()) {
      for (const [c, [down, up]] of reaches[s].entries()) {
        least[c] += down;
        most[c] += up;
      }
    }
  }
  return [...splits, terms];
}

/**
 * Refuses an accumulation that could leave int32. Nothing is split behind the caller's back: sums in two parts are two
 * layers and an addition, whose scales are the caller's to choose.
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
    `${name}: |accumulator| must stay within int32, at or below ${LIMIT}, for every input in range`,
    `${bound.worst} in output channel ${bound.channel}`,
    bound.splits.length > 1
      ? `sum the terms in ${bound.splits.length} runs that end at ${ends}, as layers whose outputs are added`
      : 'choose a smaller bias',
  );
}

/**
 * The bias of a kernel that sums plain input codes: bias - inputZeroPoint * (sum of the channel's weights), modulo 2^32
 * as the accumulator is.
 *
 * @param weights row-major [channels, terms], symmetric.
 * @param bias one a channel.
 * @example
 * foldZeroPoint(Int8Array.of(1, 2), Int32Array.of(10), -3); // Int32Array [19]
 */
export function foldZeroPoint(
  weights: ArrayLike<number>,
  bias: ArrayLike<number>,
  inputZeroPoint: number,
): Int32Array {
  const terms = weights.length / bias.length;
  return Int32Array.from(bias, (value, channel) => {
    let sum = 0;
    for (let i = channel * terms; i < (channel + 1) * terms; i++) sum += weights[i];
    return value - inputZeroPoint * sum;
  });
}
