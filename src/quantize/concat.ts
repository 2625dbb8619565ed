import {
  exactConstant,
  prepareMultipliers,
  type RequantizeRule,
  requantizeConstant,
} from '../conv/requantize.ts';
import type { Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';

/** Where one input of a concatenation goes: bytes `start` to `start + length` of every output row. */
export interface ConcatPlace {
  start: number;
  length: number;
}

/** How the `concat-int8` kernel takes a code of one scale to another: its constants and params. */
export interface RescaleSettings {
  specialization: Specialization;
  params: { scaleWord: number; yScaleWord: number; multiplier: number; multiplierMore: number };
}

/** What the `concat-int8` kernel takes of one input: its constants, and the params that follow from place and scale. */
export interface ConcatSettings {
  specialization: Specialization;
  params: RescaleSettings['params'] & { start: number; length: number; words: number };
}

const bitsOf = (scale: number) => new Uint32Array(Float32Array.of(scale).buffer)[0];

/**
 * Prepares the change of scale of a quantized concatenation, in integers; shaders/concat-int8.wgsl states the formulas.
 * Equal scales need no arithmetic but the zero points' difference, whatever the rule.
 *
 * @param scale The input's scale.
 * @param yScale The output's scale.
 * @throws LloydError for an unknown rule, or scales that are not positive or whose quotient is beyond float32.
 * @example
 * const { specialization, params } = prepareRescale('ort-f32', 0.1, 0.2);
 */
export function prepareRescale(rule: RequantizeRule, scale: number, yScale: number): RescaleSettings {
  const [multiplier, multiplierMore] = prepareMultipliers(rule, scale, Float32Array.of(1), yScale);
  const specialization: Specialization =
    Math.fround(scale) === Math.fround(yScale)
      ? { RESCALE: '2u' }
      : rule === 'ort-f32'
        ? { RESCALE: '0u' }
        : { RESCALE: '1u', REQUANTIZE: exactConstant(rule) };
  const params = { scaleWord: bitsOf(scale), yScaleWord: bitsOf(yScale), multiplier, multiplierMore };
  return { specialization, params };
}

/**
 * Prepares one input of a quantized concatenation of packed codes; native arithmetic where it is known to be exact.
 *
 * @param scale The input's scale.
 * @param yScale The output's scale.
 * @throws LloydError as {@link prepareRescale}.
 * @example
 * const { specialization, params } = await prepareConcat(runtime, 'ort-f32', 0.1, 0.2, { start: 5, length: 6 });
 * // params.words === 2: bytes 5 to 10 are in words 1 and 2
 */
export async function prepareConcat(
  runtime: Runtime,
  rule: RequantizeRule,
  scale: number,
  yScale: number,
  { start, length }: ConcatPlace,
): Promise<ConcatSettings> {
  const { specialization, params } = prepareRescale(rule, scale, yScale);
  const words = Math.ceil((start + length) / 4) - (start >> 2);
  return {
    specialization:
      specialization.RESCALE === '1u'
        ? { ...specialization, REQUANTIZE: await requantizeConstant(runtime, rule) }
        : specialization,
    params: { ...params, start, length, words },
  };
}
