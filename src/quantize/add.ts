import { prepareMultipliers, type RequantizeRule } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';

/** What the `add-int8` kernel takes of scales and zero points: its `ADD` constant and its params' words. */
export interface AddSettings {
  /** Right-hand side of `const ADD`. */
  ADD: '0u' | '1u' | '2u' | '3u';
  words: { aWord: number; aMore: number; bWord: number; bMore: number; yWord: number; yMore: number };
}

/**
 * Prepares quantized addition y = a + b for a rule; shaders/add-int8.wgsl states each rule's formula.
 *
 * @param scales Scales of a, b and y: positive float32.
 * @param zeroPoints Zero points of a, b and y in their own types' ranges.
 * @throws LloydError for a bad scale, or scales that XNNPACK's rule does not cover (ratios from 2^-10 to 2^8).
 * @example
 * const { ADD, words } = prepareAdd('ort-f32', [0.1, 0.2, 0.25], [0, 3, -1]);
 */
export function prepareAdd(
  rule: RequantizeRule,
  scales: readonly [number, number, number],
  zeroPoints: readonly [number, number, number],
): AddSettings {
  for (const scale of scales)
    check(scale > 0 && scale < Number.POSITIVE_INFINITY, 'scales must be positive and finite', scale);
  const [a, b, y] = scales.map(Math.fround);
  const words = (values: readonly number[]) => ({
    aWord: values[0],
    aMore: values[1],
    bWord: values[2],
    bMore: values[3],
    yWord: values[4],
    yMore: values[5],
  });
  const f32 = Math.fround;
  const [ratioA, ratioB] = [f32(a / y), f32(b / y)];
  if (rule === 'ort-f32') {
    const [zeroA, zeroB, zeroY] = zeroPoints;
    const fixed = f32(zeroY - f32(f32(ratioA * zeroA) + f32(ratioB * zeroB)));
    const bits = new Uint32Array(Float32Array.of(ratioA, ratioB, fixed).buffer);
    check(Number.isFinite(fixed), "the inputs' scales must fit the output's", [a, b, y]);
    return { ADD: '0u', words: words([bits[0], 0, bits[1], 0, bits[2], 0]) };
  }
  if (rule === 'tflite-double' || rule === 'tflite-single') {
    const twice = 2 * Math.max(a, b);
    const pairs = [
      prepareMultipliers(rule, a, Float32Array.of(1), twice),
      prepareMultipliers(rule, b, Float32Array.of(1), twice),
      prepareMultipliers(rule, twice, Float32Array.of(1), 2 ** 20 * y),
    ];
    return { ADD: '2u', words: words(pairs.flatMap((pair) => [...pair])) };
  }
  if (rule === 'xnn-rndnu') {
    const largest = Math.max(ratioA, ratioB);
    check(
      Math.min(ratioA, ratioB) >= 2 ** -10 && largest < 2 ** 8,
      'xnn-rndnu adds inputs whose scales are from 2^-10 to 2^8 of the output scale',
      [ratioA, ratioB],
      'choose another rule',
    );
    const exponent = (new Uint32Array(Float32Array.of(largest).buffer)[0] >>> 23) - 127;
    const shift = 20 - exponent;
    const multiplier = (ratio: number) => roundTiesToEven(ratio * 2 ** shift);
    return { ADD: '3u', words: words([multiplier(ratioA), 0, multiplier(ratioB), 0, shift, 0]) };
  }
  const bits = new Uint32Array(Float32Array.of(a, b, y).buffer);
  return { ADD: '1u', words: words([bits[0], 0, bits[1], 0, bits[2], 0]) };
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor + (floor % 2);
}
