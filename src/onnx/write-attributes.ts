import { check } from '../gpu/errors.ts';
import type { AttributeValue, OnnxTensor } from '../graph/ops/tensors.ts';
import { int64Of } from '../graph/ops/value.ts';
import { ATTRIBUTE } from './proto/messages.ts';
import { bytesField, type Chunk, floatFields, integerField, textField } from './proto/write.ts';
import { tensorChunks } from './write-tensor.ts';

/** Attributes of ONNX's operators and of com.microsoft's that hold a float, whatever their value. */
const FLOATS: ReadonlySet<string> = new Set([
  ...['alpha', 'beta', 'bias', 'clip', 'cubic_coeff_a', 'epsilon', 'extrapolation_value', 'gamma'],
  ...['height_scale', 'high', 'lambd', 'low', 'mask_filter_value', 'max', 'mean', 'min', 'momentum', 'ratio'],
  ...['scale', 'seed', 'softcap', 'spatial_scale', 'threshold', 'value', 'value_float', 'width_scale'],
]);
/** Those that hold lists; as read they are Float32Arrays, in a graph written in code they may be lists of whole numbers. */
const FLOAT_LISTS: ReadonlySet<string> = new Set(['activation_alpha', 'activation_beta', 'value_floats']);
/** The one operator that has an integer of such a name. */
const isFloat = (op: string, name: string) => FLOATS.has(name) && !(name === 'seed' && op === 'Dropout');

/** Whether 64 bits hold it; -0 is a float. */
const isInteger = (value: number) =>
  Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) <= 2 ** 63;

/** An AttributeProto of an operator's attribute. */
export function attributeChunks(label: string, op: string, name: string, value: AttributeValue): Chunk[] {
  if (typeof value === 'object' && 'kept' in value) return [value.bytes];
  const type = (kind: keyof typeof ATTRIBUTE) => integerField(20, ATTRIBUTE[kind]);
  const own = textField(1, name);
  if (typeof value === 'string') return [own, textField(4, value), type('STRING')];
  if (typeof value === 'number') {
    // A whole number that no float32 is was no float.
    const wasFloat = isFloat(op, name) && Object.is(Math.fround(value), value);
    return wasFloat || !isInteger(value)
      ? [own, ...floatFields(2, Float32Array.of(value)), type('FLOAT')]
      : [own, integerField(3, int64Of(value)), type('INT')];
  }
  if ('dtype' in value)
    return [own, ...bytesField(5, tensorChunks(label, '', value as OnnxTensor)), type('TENSOR')];
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  const list = isList ? Array.from(value as ArrayLike<number | bigint | string>) : [];
  if (typeof list[0] === 'string')
    return [own, ...list.map((text) => textField(9, String(text))), type('STRINGS')];
  check(
    isList && list.every((item) => typeof item === 'number' || typeof item === 'bigint'),
    `${label} must be a number, a text, a tensor or a list of numbers or texts`,
    value,
  );
  const isFloats = FLOAT_LISTS.has(name) || list.some((item) => typeof item === 'number' && !isInteger(item));
  if (value instanceof Float32Array || isFloats) {
    const floats = value instanceof Float32Array ? value : Float32Array.from(list as number[]);
    return [own, ...floatFields(7, floats), type('FLOATS')];
  }
  return [own, ...list.map((item) => integerField(8, int64Of(item as number))), type('INTS')];
}
