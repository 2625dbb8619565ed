import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { check } from '../gpu/errors.ts';
import type { AttributeValue, OnnxTensor } from '../graph/ops/tensors.ts';
import { ATTRIBUTE } from './proto/messages.ts';
import { bytesField, type Chunk, integerField, textField } from './proto/write.ts';
import { tensorChunks } from './write-tensor.ts';

/** Attributes of ONNX's operators and of com.microsoft's that hold a float, or floats, whatever their value. */
const FLOATS: ReadonlySet<string> = new Set([
  ...['activation_alpha', 'activation_beta', 'alpha', 'beta', 'bias', 'clip', 'cubic_coeff_a', 'epsilon'],
  ...['extrapolation_value', 'gamma', 'height_scale', 'high', 'lambd', 'low', 'mask_filter_value', 'max'],
  ...['mean', 'min', 'momentum', 'ratio', 'scale', 'scales', 'seed', 'softcap', 'spatial_scale', 'threshold'],
  ...['value', 'value_float', 'value_floats', 'weights', 'width_scale'],
]);
/** The one operator that has an integer of such a name. */
const isFloat = (op: string, name: string) => FLOATS.has(name) && !(name === 'seed' && op === 'Dropout');

/** An AttributeProto of an operator's attribute. */
export function attributeChunks(label: string, op: string, name: string, value: AttributeValue): Chunk[] {
  if (typeof value === 'object' && 'kept' in value) return [value.bytes];
  const type = (kind: keyof typeof ATTRIBUTE) => integerField(20, ATTRIBUTE[kind]);
  const own = textField(1, name);
  if (typeof value === 'string') return [own, textField(4, value), type('STRING')];
  if (typeof value === 'number') {
    return isFloat(op, name) || !Number.isInteger(value)
      ? [own, floatField(2, value), type('FLOAT')]
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
  const floats =
    value instanceof Float32Array ||
    isFloat(op, name) ||
    list.some((item) => typeof item === 'number' && !Number.isInteger(item));
  return floats
    ? [own, ...list.map((item) => floatField(7, Number(item))), type('FLOATS')]
    : [own, ...list.map((item) => integerField(8, int64Of(item as number))), type('INTS')];
}

const floatField = (field: number, value: number): Uint8Array =>
  new BinaryWriter().tag(field, 5).float(Math.fround(value)).finish();

/** An integer in 64 bits; 2^63 is what a number makes of 2^63 - 1. */
export function int64Of(value: number | bigint): bigint {
  const exact = BigInt(value);
  return exact === 2n ** 63n ? exact - 1n : exact;
}
