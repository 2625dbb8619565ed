import { check } from '../../gpu/errors.ts';
import type { DType, Tensor, TensorData } from '../../gpu/tensor.ts';

/** Attribute values by ONNX's names; lists may be typed arrays. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Int32Array
  | Float32Array
  | BigInt64Array
  | OnnxTensor;
export type Attributes = Record<string, AttributeValue | undefined>;
/** Inputs by position; null, undefined or a short list leaves an optional one out. */
export type Inputs = readonly (OnnxTensor | null | undefined)[];

/** A tensor of 64-bit integers; operators compute them as int32, so each must fit it. */
export interface Int64Tensor {
  dtype: 'int64';
  dims: readonly number[];
  data: BigInt64Array;
}
/** A tensor of any dtype that an operator takes. */
export type OnnxTensor = Tensor | Int64Tensor;

const ARRAYS: Record<DType, readonly (abstract new (...args: never[]) => TensorData)[]> = {
  float32: [Float32Array],
  float16: [Uint16Array],
  int8: [Int8Array],
  uint8: [Uint8Array],
  int16: [Int16Array],
  uint16: [Uint16Array],
  int32: [Int32Array],
  uint32: [Uint32Array],
  int4: [Int8Array],
  uint4: [Uint8Array],
  int2: [Int8Array],
  uint2: [Uint8Array],
  bool: [Uint8Array],
};

/** Smallest and largest code of the integer types that quantize. */
export const CODE_RANGE: Partial<Record<DType, readonly [number, number]>> = {
  int2: [-2, 1],
  uint2: [0, 3],
  int4: [-8, 7],
  uint4: [0, 15],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

export const BYTE_TYPES: readonly DType[] = ['uint8', 'int8'];

/** Product of the dimensions: 1 for a scalar. */
export const sizeOf = (dims: readonly number[]) => dims.reduce((product, size) => product * size, 1);

/** Reads an operator's inputs by place and name, checking everything that can be checked of one tensor alone. */
export function inputReader(operator: string, inputs: Inputs, names: readonly string[]) {
  check(Array.isArray(inputs), `${operator}: inputs must be an array of tensors and nulls`, inputs);
  check(
    inputs.length <= names.length,
    `${operator} has at most ${names.length} inputs (${names.join(', ')})`,
    inputs.length,
  );
  const optional = (name: string, dtypes: readonly DType[]): Tensor | null => {
    // Of another dtype than those asked for it is refused below.
    const tensor = inputs[names.indexOf(name)] as Tensor | null | undefined;
    if (tensor === null || tensor === undefined) return null;
    const label = `${operator}: ${name}`;
    const { dtype, dims, data } = tensor;
    check(dtypes.includes(dtype), `${label} must be ${dtypes.join(' or ')}`, dtype);
    check(
      Array.isArray(dims) && dims.every((size) => Number.isInteger(size) && size >= 0),
      `${label}.dims must be an array of integers`,
      dims,
    );
    check(!dims.includes(0), `${label} must have no dimension of 0`, dims);
    check(
      ARRAYS[dtype].some((type) => data instanceof type),
      `${label}.data must be a ${ARRAYS[dtype].map((type) => type.name).join(' or ')} for ${dtype}`,
      data,
    );
    check(
      data.length === sizeOf(dims),
      `${label}.data must have ${sizeOf(dims)} elements, as dims [${dims}] say`,
      data.length,
    );
    const range = CODE_RANGE[dtype];
    if (range && range[1] < 16) checkCodes(label, data, range);
    return tensor;
  };
  const required = (name: string, dtypes: readonly DType[]): Tensor => {
    const tensor = optional(name, dtypes);
    check(tensor, `${operator} needs its input ${name} (number ${names.indexOf(name)})`, 'none');
    return tensor;
  };
  return { optional, required };
}

function checkCodes(label: string, data: TensorData, [low, high]: readonly [number, number]): void {
  const outside = data.find((code) => code < low || code > high);
  check(outside === undefined, `${label} must hold codes from ${low} to ${high}`, outside);
}

/** Refuses attributes that the operator does not have. */
export function checkAttributes(operator: string, attributes: Attributes, known: readonly string[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    check(known.includes(name), `${operator} has the attributes ${known.join(', ') || '(none)'}`, name);
  }
}

/** An integer attribute. */
export function integerAttribute(
  operator: string,
  attributes: Attributes,
  name: string,
  fallback: number,
): number {
  const value = attributes[name] ?? fallback;
  check(
    typeof value === 'number' && Number.isInteger(value),
    `${operator}: ${name} must be an integer`,
    value,
  );
  return value;
}

/** True for a tensor of one element and rank 0 or 1. */
export const isScalar = ({ dims, data }: Tensor) => dims.length <= 1 && data.length === 1;

/** The one element of a scalar input, or `fallback` where it is left out. */
export function scalarOf(operator: string, name: string, tensor: Tensor | null, fallback = 0): number {
  if (!tensor) return fallback;
  check(isScalar(tensor), `${operator}: ${name} must be a scalar or a tensor of one element`, tensor.dims);
  return tensor.data[0];
}

/** Scales as float32 numbers; every one must be positive and finite. */
export function scalesOf(operator: string, name: string, { dtype, data }: Tensor): Float32Array {
  const scales = dtype === 'float16' ? Float32Array.from(data, halfToFloat) : (data as Float32Array);
  const bad = scales.find((scale) => !(scale > 0 && scale < Number.POSITIVE_INFINITY));
  check(bad === undefined, `${operator}: ${name} must be positive and finite`, bad);
  return scales;
}

/** A float16's value from its bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

/** What the integer kernels read a byte type with: the bit to flip, and how far that moves its zero point. */
export const byteFlip = (dtype: DType) => (dtype === 'int8' ? 0x80 : 0);
export const zeroShift = (dtype: DType) => (dtype === 'int8' ? 128 : 0);

/** A tensor of one- or two-byte elements around the bytes that a kernel wrote. */
export function tensorOf(dtype: DType, dims: readonly number[], bytes: ArrayBuffer): Tensor {
  const array = ARRAYS[dtype][0] as unknown as new (buffer: ArrayBuffer) => TensorData;
  return { dtype, dims: [...dims], data: new array(bytes) };
}
