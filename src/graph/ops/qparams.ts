import { exactConstant, type RequantizeRule } from '../../conv/requantize.ts';
import { requantize } from '../../kernels/requantize.ts';
import type { Node } from './node.ts';
import { type Operand, type Step, step } from './plan.ts';
import { constant, type Operated, pointwise } from './pointwise-step.ts';
import { CODE_RANGE, sizeOf } from './tensors.ts';
import { numbersOf, type OnnxDType, type Value } from './value.ts';

export const BYTES: readonly OnnxDType[] = ['uint8', 'int8'];

/** Smallest and largest code of a type that quantizes. */
export const rangeOf = (dtype: OnnxDType) => CODE_RANGE[dtype as 'int8']!;

/** True for one element of rank 0 or 1. */
export const isScalar = ({ dims }: Value) => dims.length <= 1 && sizeOf(dims) === 1;

export function checkScalar(node: Node, name: string, value: Value | null): void {
  node.ensure(!value || isScalar(value), `${name} must be a scalar or a tensor of one element`, value?.dims);
}

/** Refuses scales that are known and not positive and finite; those that the network computes are its own affair. */
export function checkScales(node: Node, name: string, value: Value): void {
  if (!value.data) return;
  const bad = numbersOf(value).find((scale) => !(scale > 0 && scale < Number.POSITIVE_INFINITY));
  node.ensure(bad === undefined, `${name} must be positive and finite`, bad);
}

/** Numbers of a scale or zero point from which the host makes what a kernel multiplies and adds. */
function knownNumbers(node: Node, name: string, value: Value): number[] {
  node.ensure(
    value.data,
    `${name} must be constant: the host makes ${node.operator}'s multipliers of it`,
    'a value computed by the network',
    'use DequantizeLinear and QuantizeLinear, which take scales of any origin',
  );
  return numbersOf(value);
}

/** Scales as float32 numbers, known beforehand. */
export function knownScales(node: Node, name: string, value: Value): Float32Array {
  checkScales(node, name, value);
  return Float32Array.from(knownNumbers(node, name, value));
}

/** The zero point of a whole tensor, known beforehand; 0 where it is left out. */
export function knownZero(node: Node, name: string, value: Value | null): number {
  checkScalar(node, name, value);
  return value ? knownNumbers(node, name, value)[0] : 0;
}

/** A scale and a zero point of the whole tensor, known beforehand; the zero point may be left out (0). */
export function qparams(node: Node, scaleName: string, zeroName: string, dtype: OnnxDType) {
  const scale = node.required(scaleName, ['float32']);
  checkScalar(node, scaleName, scale);
  return {
    scale: knownScales(node, scaleName, scale)[0],
    zero: knownZero(node, zeroName, node.optional(zeroName, [dtype])),
  };
}

/** Codes in words, where they lie. */
export interface Codes {
  /** Of the scratch buffer for what is left of them. */
  name: string;
  at: Operand;
  dims: readonly number[];
}

/** Zero points: one or any that broadcast to the codes; a network may compute them. */
export interface ZeroPoints {
  value: Value;
  at: Operand;
  /** As they broadcast, if not as they are. */
  dims?: readonly number[];
}

/** Codes less their zero points, as int32: the codes themselves where those are all 0. */
export function centred(
  { name, at, dims }: Codes,
  zeros: ZeroPoints | null,
): { steps: Step[]; value: Operated } {
  const known = zeros?.value.data && numbersOf(zeros.value);
  if (!zeros || known?.every((zero) => zero === 0)) return { steps: [], value: { at, dims } };
  const result = { scratch: name, count: sizeOf(dims) };
  const zero =
    known?.length === 1
      ? constant(known[0], 'int32')
      : { at: zeros.at, dims: zeros.dims ?? zeros.value.dims };
  const subtract = pointwise('sub', 'int32', [{ at, dims }, zero], dims, result);
  return { steps: [subtract], value: { at: result, dims } };
}

/** How int32 sums become the codes of an output. */
export interface Requantization {
  rule: RequantizeRule;
  dtype: OnnxDType;
  zeroPoint: number;
  /** Two words each, as prepareMultipliers makes them; sum i takes number (i / stride) % (how many there are). */
  multipliers: Uint32Array;
  stride?: number;
}

export function requantized(
  accumulators: Operand,
  count: number,
  { rule, dtype, zeroPoint, multipliers, stride = 1 }: Requantization,
): Step {
  const [low, high] = rangeOf(dtype);
  return step(
    requantize,
    { REQUANTIZE: exactConstant(rule), PACKED: '0u' },
    { accumulators, multipliers: { constant: multipliers }, codes: { output: 0 } },
    { count, channels: multipliers.length / 2, channelStride: stride, zeroPoint, low, high },
  );
}
