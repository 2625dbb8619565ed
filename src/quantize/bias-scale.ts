import { type AccumulatorInput, accumulatorReach } from '../conv/accumulator.ts';

/** What the biases of an integer product follow from. */
export interface BiasInput extends Pick<AccumulatorInput, 'inputRange' | 'inputZeroPoint'> {
  /** Codes, row-major [channels, terms], symmetric. */
  codes: Int8Array;
  /** The weights' scales, one a channel. */
  scale: Float32Array;
  /** Real biases, one a channel. */
  bias: ArrayLike<number>;
  inputScale: number;
  /** Leaves the scale of a channel without weights as it is wherever its bias fits. */
  keepDead?: boolean;
}

const LIMIT = 2 ** 31 - 1;
const SMALLEST_NORMAL = 2 ** -126;
const LARGEST = 3.4028234663852886e38;
/** A dead channel's bias in its own units: as many bits as a float32 keeps. */
const DEAD_BIAS = 2 ** 23;

/**
 * Scales by which every channel's bias is an int32. A bias is a multiple of inputScale * scale, so tiny weights beside it
 * ask for more than 31 bits; such a channel's scale is widened until bias and products fit, as ONNX Runtime's quantizer
 * does, and its weights are to be quantized by it again. A channel whose codes are all zero is its bias alone, which
 * then has a scale of its own.
 *
 * @returns `scale` itself where nothing has to change; wider scales only, but for dead channels. A channel whose products
 *   leave int32 without any bias keeps its scale: that is `checkAccumulator`'s to refuse.
 * @example
 * fitScales({
 *   codes: Int8Array.of(127), scale: Float32Array.of(1e-30), bias: [0.5],
 *   inputScale: 0.01, inputZeroPoint: 0, inputRange: [-128, 127],
 * }); // about [2.3e-8]: the bias is 2^31 of 0.01 * 2.3e-8, and the weight becomes 0
 */
export function fitScales(input: BiasInput): Float32Array {
  const { codes, scale, bias, inputScale, inputZeroPoint, inputRange, keepDead = false } = input;
  const channels = scale.length;
  const terms = codes.length / channels;
  const x = Math.fround(inputScale);
  // What the rounding of codes and scales can add to a sum, at most.
  const room = LIMIT - terms * 255 - 2 ** 10;
  const inRange = (value: number) =>
    Math.fround(Math.min(LARGEST, Math.max(value, SMALLEST_NORMAL, (SMALLEST_NORMAL / x) * (1 + 2 ** -20))));
  let result = scale;
  for (let channel = 0; channel < channels; channel++) {
    const [least, most] = accumulatorReach({ weights: codes, channels, inputRange, inputZeroPoint }, channel);
    const dead = !codes.subarray(channel * terms, (channel + 1) * terms).some((code) => code !== 0);
    const unit = Math.fround(x * scale[channel]);
    const steps = bias[channel] / (x * scale[channel]);
    const fits = unit >= SMALLEST_NORMAL && Math.abs(steps + most) < LIMIT && Math.abs(steps + least) < LIMIT;
    if (fits && (!dead || keepDead)) continue;
    const reach = Math.max(-least, most);
    if (reach > LIMIT) continue;
    if (result === scale) result = scale.slice();
    result[channel] = inRange(
      dead
        ? (Math.abs(bias[channel]) || 1) / (x * DEAD_BIAS)
        : scale[channel] * Math.max(1, (Math.abs(steps) + reach) / room),
    );
  }
  return result;
}
