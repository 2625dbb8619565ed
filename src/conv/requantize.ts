import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { requantize } from '../kernels/requantize.ts';
import { type RequantizeRule, requantizeWordsReference } from '../reference/requantize.ts';

export type { RequantizeRule };

/**
 * The rules in the order in which reports list them.
 *
 * @example
 * requantizeRules[0]; // 'ort-f32': what is done unless `requantize` names another
 */
export const requantizeRules: readonly RequantizeRule[] = [
  'ort-f32',
  'onnx-ref',
  'tflite-double',
  'tflite-single',
  'xnn-rndnu',
  'lab',
];

/** Throws unless `rule` is one of the six names. */
export function checkRule(rule: string): asserts rule is RequantizeRule {
  check(
    (requantizeRules as readonly string[]).includes(rule),
    `requantize must be one of ${requantizeRules.join(', ')}`,
    rule,
  );
}

/**
 * The two words a channel that `requantize` in shaders/lib/requantize.wgsl multiplies by.
 *
 * Float rules get the bits of f32(f32(inputScale * weightScale) / outputScale); `tflite-*` a Q31 mantissa and an
 * exponent or shift of the quotient in double; `xnn-rndnu` the 24-bit mantissa of the f32 multiplier and a shift.
 *
 * @param weightScales One scale a channel; scales are taken as float32.
 * @returns 2 x channels words.
 * @throws LloydError for an unknown rule, a scale that is not positive and finite, or a multiplier beyond float32.
 * @example
 * const words = prepareMultipliers('tflite-double', 0.02, Float32Array.of(0.01, 0.03), 0.05);
 * // words[0] = Q31 mantissa of channel 0, words[1] = its exponent as i32 bits
 */
export function prepareMultipliers(
  rule: RequantizeRule,
  inputScale: number,
  weightScales: Float32Array,
  outputScale: number,
): Uint32Array {
  checkRule(rule);
  const input = checkScale('inputScale', inputScale);
  const output = checkScale('outputScale', outputScale);
  const words = new Uint32Array(weightScales.length * 2);
  const real = new Float32Array(1);
  const bits = new Uint32Array(real.buffer);
  for (const [channel, scale] of weightScales.entries()) {
    const weight = checkScale('weightScale', scale);
    real[0] = Math.fround(Math.fround(input * weight) / output);
    check(
      Number.isFinite(real[0]),
      'inputScale * weightScale / outputScale must fit float32',
      [input, weight, output],
      'choose an output scale of the size of the outputs',
    );
    let pair: [number, number] = [bits[0], 0];
    if (rule === 'tflite-double' || rule === 'tflite-single') {
      pair = quantizedMultiplier((input * weight) / output, rule === 'tflite-single');
    } else if (rule === 'xnn-rndnu') {
      const biased = bits[0] >>> 23;
      pair = biased === 0 ? [bits[0], 149] : [(bits[0] & 0x7fffff) | 0x800000, 150 - biased];
    }
    words[channel * 2] = pair[0];
    words[channel * 2 + 1] = pair[1];
  }
  return words;
}

function checkScale(name: string, value: number): number {
  const scale = Math.fround(value);
  check(scale > 0 && scale < Number.POSITIVE_INFINITY, `${name} must be a positive finite float32`, value);
  return scale;
}

/** A double as a Q31 mantissa and, for double rounding, its exponent; for single rounding, the right shift. */
function quantizedMultiplier(value: number, singleRounding: boolean): [number, number] {
  let exponent = Math.max(-1023, Math.floor(Math.log2(value)) + 1);
  while (value >= 2 ** exponent) exponent++;
  while (value < 2 ** (exponent - 1)) exponent--;
  let mantissa = Math.floor(value * 2 ** -exponent * 2 ** 31 + 0.5);
  if (mantissa === 2 ** 31) {
    mantissa /= 2;
    exponent++;
  }
  if (exponent < -31) [mantissa, exponent] = [0, 0];
  if (singleRounding && exponent > 30) [mantissa, exponent] = [2 ** 31 - 1, 30];
  return [mantissa, singleRounding ? 31 - exponent : exponent];
}

/** The branch of shaders/lib/requantize.wgsl that computes a rule in integers, so with the same bits everywhere. */
const EXACT: Record<RequantizeRule, string> = {
  ...{ 'ort-f32': '1u', 'onnx-ref': '2u', 'tflite-double': '3u' },
  ...{ 'tflite-single': '4u', 'xnn-rndnu': '5u', lab: '7u' },
};

/**
 * The right-hand side of `const REQUANTIZE` that computes a rule in integers on every device.
 *
 * @throws LloydError for an unknown rule.
 * @example
 * exactConstant('lab'); // '7u'
 */
export function exactConstant(rule: RequantizeRule): string {
  checkRule(rule);
  return EXACT[rule];
}

const nativeChecks = new WeakMap<GPUDevice, Map<string, Promise<boolean>>>();

/**
 * The right-hand side of `const REQUANTIZE` for a rule on this device.
 *
 * The float rules are native f32 only where a self-check, run once a device, finds native conversion, multiply,
 * add and round bit-equal to the rule; elsewhere they take the exact integer path.
 *
 * @throws LloydError for an unknown rule.
 * @example
 * const REQUANTIZE = await requantizeConstant(runtime, 'ort-f32'); // '0u' or '1u'
 * const kernel = await kernels.requantize.create(runtime.device, { REQUANTIZE });
 */
export async function requantizeConstant(runtime: Runtime, rule: RequantizeRule): Promise<string> {
  const exact = exactConstant(rule);
  if (rule === 'ort-f32') return (await nativeIsExact(runtime, '0u')) ? '0u' : exact;
  if (rule === 'lab') return (await nativeIsExact(runtime, '6u')) ? '6u' : exact;
  return exact;
}

function nativeIsExact(runtime: Runtime, native: string): Promise<boolean> {
  const checks = nativeChecks.get(runtime.device) ?? new Map<string, Promise<boolean>>();
  nativeChecks.set(runtime.device, checks);
  let result = checks.get(native);
  if (!result) {
    result = compareNative(runtime, native);
    checks.set(native, result);
    result.catch(() => checks.delete(native));
  }
  return result;
}

/**
 * Holds the native path to the twin on ties, on products that need every bit of rounding, and on the extremes of int32:
 * to compile the exact path only to compare with it would take an adapter that is a CPU longer than the twin takes.
 */
async function compareNative(runtime: Runtime, native: string): Promise<boolean> {
  const count = 1 << 14;
  const accumulators = new Int32Array(count);
  const multipliers = new Float32Array(count * 2);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < count; i++) {
    const size = i % 31;
    accumulators[i] = Math.floor((random() * 2 - 1) * 2 ** (size + 1)) | 0;
    // Every other multiplier is a power of two, so that ties are common; the rest fill all 24 bits. Products
    // stay near 2^22, where rounding to an integer shows the last bits of the f32 product.
    const power = 2 ** (Math.floor(random() * 24) - size);
    multipliers[i * 2] = i % 2 === 0 ? power : power * (1 + random());
  }
  accumulators.set([0, 1, -1, 0x7fffffff, -0x80000000, 16777217, -16777217, 33554435]);
  return runtime.scope(async ({ upload, empty, keep }) => {
    const inputs = { accumulators: upload(accumulators), multipliers: upload(multipliers) };
    const kernel = await requantize.create(runtime.device, { REQUANTIZE: native });
    const codes = empty(count * 4);
    const settings = { zeroPoint: 3, low: -8388607, high: 8388607 };
    const params = { count, channels: count, channelStride: 1, ...settings };
    runtime.submit([keep(kernel.bind({ ...inputs, codes }, params))]);
    const words = new Uint32Array(multipliers.buffer);
    return new Int32Array(await runtime.read(codes)).every((code, i) => {
      const own = words.subarray(2 * i, 2 * i + 2);
      return code === requantizeWordsReference(native, accumulators[i], own, settings);
    });
  });
}
